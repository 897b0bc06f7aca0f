//! `rushes shots`.

use super::speech::refuse;
use super::{Session, Shown, transnet};
use crate::args::{DetectorChoice, ShotFormatChoice, Shots};
use crate::output::Status;
use rushes::media::Notice;
use rushes::pipeline::{FindShots, Made, ShotSettings};
use rushes::text::plain;
use rushes::vision::shots::{ShotFormat, ShotList};
use serde::Serialize;

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
            detector: args.detector.into(),
            skip: default.skip.filter(|_| !args.full),
            shortest: args.shortest,
            ..default
        },
        formats: formats.collect(),
    };
    let net = match args.detector {
        DetectorChoice::Fast => None,
        DetectorChoice::Transnet => match transnet::open(session, args.models_dir.as_deref())? {
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
            Some(folder) => job.run(input, folder, name, net.as_ref(), run)?,
            None => {
                let (list, notices) = job.shots(input, net.as_ref(), run)?;
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
