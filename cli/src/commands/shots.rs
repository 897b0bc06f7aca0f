//! `rushes shots`.

use super::models::store;
use super::speech::refuse;
use super::{Session, Shown};
use crate::args::{DetectorChoice, ShotFormatChoice, Shots};
use crate::output::Status;
use rushes::media::Notice;
use rushes::onnx::OnnxRuntime;
use rushes::pipeline::{Detector, FindShots, Made, ShotSettings};
use rushes::text::plain;
use rushes::vision::shots::{ShotFormat, ShotList};
use rushes::vision::transnet::TransNet;
use rushes_models::{Catalogue, ModelsError};
use serde::Serialize;
use std::num::NonZeroUsize;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: Option<String>,
    current: bool,
    #[serde(flatten)]
    list: Option<ShotList>,
    notices: Vec<Notice>,
}

pub fn run(session: &Session, args: &Shots) -> anyhow::Result<Status> {
    let formats = args.format.iter().map(|format| match format {
        ShotFormatChoice::Json => ShotFormat::Json,
        ShotFormatChoice::Csv => ShotFormat::Csv,
        ShotFormatChoice::Edl => ShotFormat::Edl,
        ShotFormatChoice::Otio => ShotFormat::Otio,
    });
    let default = ShotSettings::default();
    let job = FindShots {
        settings: ShotSettings {
            detector: match args.detector {
                DetectorChoice::Fast => Detector::Fast,
                DetectorChoice::Transnet => Detector::TransNet,
            },
            skip: default.skip.filter(|_| !args.full),
            shortest: args.shortest,
            ..default
        },
        formats: formats.collect(),
    };
    let mut net = match args.detector {
        DetectorChoice::Fast => None,
        DetectorChoice::Transnet => match network(session, args)? {
            Ok(net) => Some(net),
            Err(error) => return refuse(session, &error),
        },
    };
    let format = match job.formats.as_slice() {
        [format] => *format,
        _ if args.output.is_none() => {
            anyhow::bail!("several formats need a folder to go to: give -o DIR")
        }
        _ => ShotFormat::Csv,
    };
    session.for_each(&args.inputs, |input, name, run| {
        let made = match &args.output {
            Some(folder) => job.run(input, folder, name, net.as_mut(), run)?,
            None => {
                let (list, notices) = job.shots(input, net.as_mut(), run)?;
                Made { output: Default::default(), result: Some(list), notices }
            }
        };
        let shown = plain(&made.output.to_string_lossy()).into_owned();
        let text = match (&made.result, &args.output) {
            (Some(list), None) => list.write(format)?.trim_end().to_owned(),
            (Some(list), Some(_)) => format!("{shown}: {} shots", list.shots.len()),
            (None, _) => format!("{shown}: up to date"),
        };
        let record = Record {
            r#type: "shots",
            input: input.to_string_lossy().into_owned(),
            output: args.output.as_ref().map(|_| made.output.to_string_lossy().into_owned()),
            current: made.is_current(),
            list: made.result,
            notices: made.notices.clone(),
        };
        Ok(Shown { text, record, notices: made.notices })
    })
}

/// TransNetV2 from the model store; the inner error where it or its runtime is missing there.
fn network(session: &Session, args: &Shots) -> anyhow::Result<Result<TransNet, ModelsError>> {
    let catalogue = Catalogue::embedded()?;
    let store = store(args.models_dir.as_deref())?;
    let path = |name: &str| {
        let found = store.resolve(&catalogue, name)?;
        Ok(found.paths.into_iter().next().unwrap_or_default())
    };
    let (library, weights) = match (path("onnxruntime"), path("transnetv2")) {
        (Ok(library), Ok(weights)) => (library, weights),
        (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
    };
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = session.run.threads.unwrap_or(cores);
    Ok(Ok(TransNet::open(&OnnxRuntime::load(&library)?, &weights, threads)?))
}
