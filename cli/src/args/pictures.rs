//! What the verbs of pictures take: frames, sheets, shots.

use super::{moment, side, step};
use clap::{Args, ValueEnum};
use rushes::pipeline::Detector;
use rushes::stills::NameTemplate;
use rushes::time::Timestamp;
use std::num::NonZeroU32;
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Frames {
    /// Files, folders, globs, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder to write into; each film gets a folder of its own in it
    #[arg(short, long, value_name = "DIR")]
    pub output: PathBuf,
    #[command(flatten)]
    pub choice: FrameChoice,
    #[command(flatten)]
    pub picture: Picture,
    /// Names of the files: {n}, {n:4}, {time}, {ms}, {pts}
    #[arg(long, default_value = "{n}_{time}", value_name = "TEMPLATE")]
    pub name: NameTemplate,
    /// Make whole pictures of interlaced ones (reads every picture)
    #[arg(long)]
    pub deinterlace: bool,
}

/// Which frames.
#[derive(Args, Debug)]
pub struct FrameChoice {
    #[command(flatten)]
    pub policy: PolicyChoice,
    /// The very frame shown at each time (the default)
    #[arg(long, conflicts_with = "snap")]
    pub exact: bool,
    /// The last keyframe at or before each time: far less to decode
    #[arg(long)]
    pub snap: bool,
}

#[derive(Args, Debug)]
#[group(multiple = false)]
pub struct PolicyChoice {
    /// A frame every so much time, e.g. 1s, 500ms, 1001/30000 [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = step)]
    pub every: Option<Timestamp>,
    /// This many frames, evenly spaced
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU32>,
    /// The frames shown at these times, e.g. 12.4s,30s
    #[arg(long, value_name = "TIMES", value_delimiter = ',', value_parser = moment)]
    pub at: Option<Vec<Timestamp>>,
    /// All keyframes
    #[arg(long)]
    pub keyframes: bool,
    /// Every frame
    #[arg(long)]
    pub all: bool,
}

/// How pictures are made.
#[derive(Args, Debug)]
pub struct Picture {
    /// Picture format
    #[arg(long, value_enum, default_value = "jpg")]
    pub format: PictureKind,
    /// Quality, 1 to 100, of jpg and webp
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=100), value_name = "Q")]
    pub quality: Option<u8>,
    /// Width in pixels; the height follows
    #[arg(long, value_name = "PX", value_parser = side())]
    pub width: Option<u32>,
    /// Height in pixels; the width follows
    #[arg(long, value_name = "PX", value_parser = side())]
    pub height: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PictureKind {
    #[value(alias = "jpeg")]
    Jpg,
    Png,
    Webp,
}

#[derive(Args, Debug)]
pub struct Sheet {
    /// Files, folders, globs, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// File to write (several inputs: folder); for sprites a folder
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// What to make
    #[arg(long = "as", value_enum, default_value = "contact", value_name = "KIND")]
    pub kind: SheetChoice,
    /// Tiles side by side [default: 5, sprites 10]
    #[arg(long, value_name = "N")]
    pub columns: Option<NonZeroU32>,
    /// Rows of tiles [default: 4, sprites 10 a sheet]
    #[arg(long, value_name = "N")]
    pub rows: Option<NonZeroU32>,
    /// Width of a tile in pixels [default: 320, sprites 160]
    #[arg(long, value_name = "PX", value_parser = side())]
    pub tile_width: Option<u32>,
    /// Sprites: time from one to the next
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = step)]
    pub every: Timestamp,
    /// Preview: number of frames
    #[arg(long, value_name = "N", default_value = "12")]
    pub count: NonZeroU32,
    /// The very frames at the tiles' times, not their keyframes
    #[arg(long)]
    pub exact: bool,
    /// No times on the tiles
    #[arg(long)]
    pub no_times: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SheetChoice {
    Contact,
    Sprites,
    Preview,
}

#[derive(Args, Debug)]
pub struct Shots {
    /// Files, folders, globs, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// Folder for the lists, NAME.shots.FORMAT [default: standard output]
    #[arg(short, long, value_name = "DIR")]
    pub output: Option<PathBuf>,
    /// Formats, separated by commas
    #[arg(long, value_enum, value_delimiter = ',', value_name = "FORMAT", default_value = "csv")]
    pub format: Vec<ShotFormatChoice>,
    /// How shots are found: by differences, or by a neural network (TransNetV2)
    #[arg(long, value_enum, default_value = "fast")]
    pub detector: DetectorChoice,
    /// Decode every picture, even where nothing changes
    #[arg(long)]
    pub full: bool,
    /// Shorter shots are no shots
    #[arg(long, value_name = "TIME", default_value = "500ms", value_parser = moment)]
    pub shortest: Timestamp,
    /// Folder of models [default: as `rushes models`]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetectorChoice {
    Fast,
    Transnet,
}

impl From<DetectorChoice> for Detector {
    fn from(choice: DetectorChoice) -> Self {
        match choice {
            DetectorChoice::Fast => Self::Fast,
            DetectorChoice::Transnet => Self::TransNet,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ShotFormatChoice {
    Json,
    Csv,
    Edl,
    Otio,
}
