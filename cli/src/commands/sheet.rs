//! `rushes sheet`.

use super::{Session, Shown, is_single, output_file};
use crate::args::{Sheet, SheetChoice};
use crate::output::Status;
use rushes::media::{Notice, Precision};
use rushes::pipeline::{MakeSheet, SheetKind};
use rushes::stills::{AnimationFormat, PictureFormat, SheetLayout, SpriteLayout};
use rushes::text::plain;
use serde::Serialize;
use std::num::NonZeroU32;
use std::time::Duration;

#[derive(Serialize)]
struct Record {
    r#type: &'static str,
    input: String,
    output: String,
    current: bool,
    tiles: usize,
    notices: Vec<Notice>,
}

pub fn run(session: &Session, args: &Sheet) -> anyhow::Result<Status> {
    let side = |given: Option<u32>, default: u32| {
        given.and_then(NonZeroU32::new).or(NonZeroU32::new(default)).unwrap_or(NonZeroU32::MIN)
    };
    let picture = PictureFormat::from_extension(&args.output);
    let animation = AnimationFormat::from_extension(&args.output);
    let default = SheetLayout::DEFAULT;
    let (kind, extension, is_file) = match args.kind {
        SheetChoice::Contact => {
            let layout = SheetLayout {
                columns: args.columns.unwrap_or(default.columns),
                rows: args.rows.unwrap_or(default.rows),
                tile_width: side(args.tile_width, 320),
                times: !args.no_times,
                ..default
            };
            let format = picture.unwrap_or(PictureFormat::JPEG);
            (SheetKind::Contact { layout, format }, format.extension(), picture.is_some())
        }
        SheetChoice::Sprites => {
            let layout = SpriteLayout {
                columns: args.columns.unwrap_or(side(None, 10)),
                rows: args.rows.unwrap_or(side(None, 10)),
                format: PictureFormat::JPEG,
            };
            (
                SheetKind::Sprites { layout, width: side(args.tile_width, 160), every: args.every },
                "",
                true,
            )
        }
        SheetChoice::Preview => {
            let format = animation.unwrap_or(AnimationFormat::WebP);
            let extension = if format == AnimationFormat::Gif { "gif" } else { "webp" };
            let kind = SheetKind::Preview {
                count: args.count,
                width: side(args.tile_width, 320),
                each: Duration::from_millis(400),
                format,
            };
            (kind, extension, animation.is_some())
        }
    };
    let precision = if args.exact { Precision::Exact } else { Precision::Snap };
    let job = MakeSheet { kind, precision };
    let wanted = match (&job.kind, job.precision) {
        (SheetKind::Contact { layout, .. }, Precision::Snap) => layout.count()?.get() as usize,
        (SheetKind::Preview { count, .. }, Precision::Snap) => count.get() as usize,
        _ => 0,
    };
    let single = is_single(&args.inputs);
    session.for_each(&args.inputs, |input, name, run| {
        let output = match args.kind {
            SheetChoice::Sprites if single => args.output.clone(),
            SheetChoice::Sprites => args.output.join(name),
            _ => output_file(&args.output, name, extension, single, is_file),
        };
        let made = job.run(input, &output, run)?;
        let shown = plain(&made.output.to_string_lossy()).into_owned();
        let text = match made.result {
            Some(tiles) if tiles < wanted => {
                format!("{shown}: {tiles} tiles, one a keyframe (--exact gives all {wanted})")
            }
            Some(tiles) => format!("{shown}: {tiles} tiles"),
            None => format!("{shown}: up to date"),
        };
        let record = Record {
            r#type: "sheet",
            input: input.to_string_lossy().into_owned(),
            output: made.output.to_string_lossy().into_owned(),
            current: made.is_current(),
            tiles: made.result.unwrap_or(0),
            notices: made.notices.clone(),
        };
        Ok(Shown { text, record, notices: made.notices })
    })
}
