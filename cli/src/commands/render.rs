//! `rushes render`, `cut`, `concat` and `verify`.

use super::{Session, Shown};
use crate::args::{moment, step};
use crate::output::{Status, complain, say};
use crate::progress::Bar;
use clap::{Args, ValueEnum};
use rushes::error::{Error, ErrorKind, Stage};
use rushes::library::{Library, StagedFile, refuse_same_file};
use rushes::remix::{needs_library, resolve};
use rushes::render::{self, Edit, How, PlanReport, RenderReport, Stretch, Target, VerifyReport};
use rushes::stills::PictureFormat;
use rushes::text::plain;
use rushes::time::Timestamp;
use rushes::timeline::{self, Draft, Faults, Preset, Template, Values};
use serde::Serialize;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub struct RenderArgs {
    /// The spec: JSON, JSON5, or OpenTimelineIO (.otio)
    #[arg(required_unless_present = "schema")]
    pub spec: Option<PathBuf>,
    /// File to write; with --matrix a folder [default: what the spec says, else SPEC.mp4]
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Set a variable of the spec
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = variable)]
    pub vars: Vec<(String, String)>,
    /// Render every variant of the spec's matrix
    #[arg(long)]
    pub matrix: bool,
    /// Make it for a destination: vertical-short, square, 1080p, 4k
    #[arg(long, value_name = "NAME", value_parser = preset)]
    pub preset: Option<String>,
    /// Tell what would be copied, found or encoded, and why, without doing it
    #[arg(long, conflicts_with_all = ["frame", "export"])]
    pub plan: bool,
    /// Write the frame shown at this time as a picture instead
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "export")]
    pub frame: Option<Timestamp>,
    /// Small and quick: the shorter side 360 pixels
    #[arg(long)]
    pub preview: bool,
    /// Write the edit for another program instead
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub export: Option<Export>,
    /// Segments worked on at once [default: one per core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Memory that it may take, about, e.g. 1G: fewer segments are worked on at once
    #[arg(long, value_name = "BYTES", value_parser = bytes)]
    pub mem: Option<u64>,
    /// Keep finished segments in this folder, so that a changed edit renders only what changed
    #[arg(long, value_name = "DIR")]
    pub cache: Option<PathBuf>,
    /// The library that assets come from, if the spec has such
    #[arg(long, default_value = "library", value_name = "DIR")]
    pub library: PathBuf,
    /// Folder of fonts and models that were pulled [default: as `rushes models`]
    #[arg(long, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
    /// The store that `asset:NAME` in the spec refers to
    #[arg(long, default_value = "assets", value_name = "DIR")]
    pub assets: PathBuf,
    /// Print the JSON schema of specs instead
    #[arg(long)]
    pub schema: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Export {
    Otio,
    Edl,
    Json,
}

#[derive(Args, Debug)]
pub struct CutArgs {
    /// The film
    pub film: PathBuf,
    /// Where the stretch starts [default: at the start]
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub from: Option<Timestamp>,
    /// The first point behind it [default: the end]
    #[arg(long, value_name = "TIME", value_parser = moment, conflicts_with = "length")]
    pub to: Option<Timestamp>,
    /// How long it is, instead of --to
    #[arg(long, value_name = "TIME", value_parser = step)]
    pub length: Option<Timestamp>,
    #[command(flatten)]
    pub way: Way,
}

#[derive(Args, Debug)]
pub struct ConcatArgs {
    /// Films, in order; the first one decides size and rate
    #[arg(required = true)]
    pub films: Vec<PathBuf>,
    #[command(flatten)]
    pub way: Way,
}

/// How cut and concat write.
#[derive(Args, Debug)]
pub struct Way {
    /// File to write: mp4, mov or mkv
    #[arg(short, long, value_name = "OUT")]
    pub output: PathBuf,
    /// Encode everything, even what could be copied
    #[arg(long)]
    pub encode: bool,
    /// Tell what would be copied and encoded, and why, without doing it
    #[arg(long)]
    pub plan: bool,
    /// Segments worked on at once [default: one per core]
    #[arg(long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
}

#[derive(Args, Debug)]
pub struct VerifyArgs {
    /// Films that rushes rendered
    #[arg(required = true)]
    pub films: Vec<PathBuf>,
    /// Only compare with what was written; do not look at pictures and sound
    #[arg(long)]
    pub quick: bool,
}

fn bytes(text: &str) -> Result<u64, String> {
    rushes::device::parse_bytes(text).ok_or_else(|| "write a size like 800M or 1G".to_owned())
}

/// The name of a destination.
pub fn preset(text: &str) -> Result<String, String> {
    let named = Preset::named(text, "").map(|_| text.to_owned());
    named.map_err(|faults| faults.0.into_iter().map(|fault| fault.message).collect())
}

fn variable(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

#[derive(Serialize)]
struct Rendered<'a> {
    r#type: &'static str,
    variant: Option<&'a str>,
    #[serde(flatten)]
    report: RenderReport,
}

#[derive(Serialize)]
struct PlannedRecord<'a> {
    r#type: &'static str,
    output: String,
    variant: Option<&'a str>,
    #[serde(flatten)]
    report: PlanReport,
}

#[derive(Serialize)]
struct Written {
    r#type: &'static str,
    output: String,
}

/// Every fault on a line of its own; the spec is to blame, so nothing was tried.
fn refuse(session: &Session, spec: &Path, faults: &Faults) -> anyhow::Result<Status> {
    #[derive(Serialize)]
    struct Record<'a> {
        r#type: &'static str,
        input: String,
        pointer: &'a str,
        message: &'a str,
    }
    let input = spec.to_string_lossy().into_owned();
    for fault in &faults.0 {
        complain(&format!("{}: {fault}", plain(&input)));
        if session.output.json {
            let record = Record {
                r#type: "fault",
                input: input.clone(),
                pointer: &fault.pointer,
                message: &fault.message,
            };
            session.output.data("", &record)?;
        }
    }
    Ok(Status::Usage)
}

/// A spec as it was read.
pub enum Read {
    Template(Template),
    Edit(Box<Draft>),
}

pub fn read(session: &Session, path: &Path, assets: &Path) -> Result<Result<Read, Faults>, Error> {
    let mut text = std::fs::read_to_string(path).map_err(|e| Error::io(Stage::Open, path, e))?;
    // No store is made for a spec that names no asset.
    if text.contains(rushes::assets::SCHEME) {
        let store = super::assets::open(session, assets, None)?;
        text = store.in_text(&text, &session.run.cancel).map_err(|error| error.input(path))?;
    }
    let otio = path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("otio"));
    if !otio {
        return Ok(Template::sketch(&text).map(Read::Template));
    }
    Ok(timeline::read_otio(&text).map(|(edit, notes)| {
        if !session.output.quiet {
            for note in &notes.0 {
                say(&format!("{}: {note}", plain(&path.to_string_lossy())));
            }
        }
        Read::Edit(Box::new(edit.into()))
    }))
}

pub fn render(session: &Session, args: &RenderArgs) -> anyhow::Result<Status> {
    if args.schema {
        let text = serde_json::to_string_pretty(&timeline::schema())?;
        session.output.bytes(text.as_bytes())?;
        session.output.bytes(b"\n")?;
        return Ok(Status::Ok);
    }
    let Some(spec) = &args.spec else { anyhow::bail!("give a spec") };
    let read = match read(session, spec, &args.assets) {
        Ok(Ok(read)) => read,
        Ok(Err(faults)) => return refuse(session, spec, &faults),
        Err(error) => {
            session.output.failure(&error)?;
            return Ok(Status::Ok.and_failure(&error, true));
        }
    };
    let edits = match edits(args, read) {
        Ok(edits) => edits,
        Err(faults) => return refuse(session, spec, &faults),
    };
    let mut status = Status::Ok;
    // What variants have in common is encoded once: until the last one is made, segments stay.
    let shared = (edits.len() > 1 && args.cache.is_none() && !args.plan).then(|| {
        let folder = args.output.as_deref().or(spec.parent()).unwrap_or(Path::new(""));
        let stem = spec.file_stem().unwrap_or_default().to_string_lossy();
        folder.join(format!(".{stem}.rushes-parts"))
    });
    for (i, (variant, edit)) in edits.into_iter().enumerate() {
        let job =
            Job { session, args, spec, variant: variant.as_deref(), shared: shared.as_deref() };
        let is_faulty = !edit.faults().is_empty();
        match job.run(edit) {
            Ok(()) => status = status.and_success(),
            Err(error) => match error.downcast::<Error>() {
                // Of the spec itself, so of every variant.
                Ok(error) if is_faulty && Faults::of(&error).is_some() => {
                    let faults = Faults::of(&error).cloned().unwrap_or_default();
                    return refuse(session, spec, &faults);
                }
                Ok(error) => {
                    session.output.failure(&error)?;
                    status = status.and_failure(&error, i == 0 || status != Status::Ok);
                }
                Err(other) => return Err(other),
            },
        }
        if session.run.cancel.is_cancelled() {
            return Ok(Status::Cancelled);
        }
    }
    if let Some(shared) = shared.filter(|_| status == Status::Ok) {
        // Ours alone, and of no more use.
        let _ = std::fs::remove_dir_all(shared);
    }
    Ok(status)
}

type Variants = Vec<(Option<String>, Draft)>;

fn edits(args: &RenderArgs, read: Read) -> Result<Variants, Faults> {
    let mut template = match (read, &args.preset) {
        (Read::Edit(edit), None) => return Ok(vec![(None, *edit)]),
        (Read::Edit(edit), Some(_)) => Template::from_tree(edit.whole()?.to_json())?,
        (Read::Template(template), _) => template,
    };
    if let Some(name) = &args.preset {
        template.preset(name)?;
    }
    let mut set = Values::new();
    for (name, value) in &args.vars {
        set.insert(name.clone(), template.value(name, value)?);
    }
    if !args.matrix {
        return Ok(vec![(None, template.draft(&set))]);
    }
    template
        .variants(&set)?
        .into_iter()
        .map(|variant| Ok((Some(variant.name), template.draft(&variant.values))))
        .collect()
}

struct Job<'a> {
    session: &'a Session,
    args: &'a RenderArgs,
    spec: &'a Path,
    variant: Option<&'a str>,
    /// Where the segments of all variants are kept.
    shared: Option<&'a Path>,
}

impl Job<'_> {
    fn run(&self, draft: Draft) -> anyhow::Result<()> {
        let (session, args) = (self.session, self.args);
        let folder = self.spec.parent().unwrap_or(Path::new(""));
        let draft = self.looked_up(draft)?;
        if args.export == Some(Export::Json) {
            let edit = draft.whole().map_err(Error::from)?;
            return self.text(&serde_json::to_string_pretty(&edit.to_json())?);
        }
        let (limits, cancel) = (&session.run.limits, &session.run.cancel);
        let fonts = super::models::fonts(args.models_dir.as_deref())?;
        let mut edit =
            Edit::of_draft(draft, folder, fonts, limits, cancel).map_err(|e| e.input(self.spec))?;
        let outputs = edit.timeline().outputs.clone();
        if args.preview {
            edit = edit.preview(360).map_err(|e| e.input(self.spec))?;
        }
        edit = edit.jobs(jobs(session, args.jobs));
        edit = edit.force(session.run.force);
        if let Some(bytes) = args.mem {
            edit = edit.memory(bytes);
        }
        if let Some(cache) = args.cache.as_deref().or(self.shared) {
            edit = edit.cache(cache, 32 << 30);
        }
        match args.export {
            Some(Export::Otio) => {
                let made = timeline::write_otio(edit.timeline(), edit.layout());
                return self.text(&serde_json::to_string_pretty(&made)?);
            }
            Some(Export::Edl) => {
                return self.text(&timeline::write_edl(edit.timeline(), edit.layout()));
            }
            _ => {}
        }
        if let Some(time) = args.frame {
            return self.frame(&edit, time);
        }
        // One output unless the spec asks for more.
        let count = outputs.len().max(1);
        if count > 1 && args.output.is_some() && !args.matrix {
            anyhow::bail!("the spec makes {count} files: leave out -o, their names are in it");
        }
        for i in 0..count {
            let wanted = outputs.get(i);
            let file = self.file(folder, wanted.and_then(|output| output.file.as_deref()))?;
            let mut target = Target::new(&edit.timeline().canvas, wanted, &file)?;
            if args.preview {
                target.hurry();
            }
            if args.plan {
                let report = edit.plan(&target, &file)?;
                planned(session, &file, self.variant, report)?;
                continue;
            }
            let bar = Bar::new(&file, 1, 1, !session.output.quiet && !session.output.json);
            edit = edit.on_progress(bar.callback());
            let report = edit.render(&target, &file)?;
            drop(bar);
            rendered(session, self.variant, report)?;
        }
        Ok(())
    }

    /// The draft with what comes from a library looked up there.
    fn looked_up(&self, draft: Draft) -> anyhow::Result<Draft> {
        let (session, args) = (self.session, self.args);
        let (wanted, asked) = draft.timeline().map_or((false, false), needs_library);
        if !wanted {
            return Ok(draft);
        }
        let library = Library::at(&args.library);
        let catalogue = library.existing()?;
        // Only questions need models; without them, words are looked for.
        let embedders = match asked {
            true => {
                let look = super::embed::LookArgs::default();
                Some(super::search::models(
                    session,
                    args.models_dir.as_deref(),
                    &look,
                    &catalogue,
                )??)
            }
            false => None,
        };
        let cancel = &session.run.cancel;
        Ok(resolve(draft, &library, &catalogue, embedders.as_ref(), cancel)?)
    }

    /// Where an output goes.
    fn file(&self, folder: &Path, named: Option<&str>) -> anyhow::Result<PathBuf> {
        let stem = self.spec.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let Some(variant) = self.variant else {
            return Ok(match (&self.args.output, named) {
                (Some(output), _) => output.clone(),
                (None, Some(named)) => folder.join(named),
                (None, None) => folder.join(format!("{stem}.mp4")),
            });
        };
        let base = Path::new(named.unwrap_or_default());
        let ending = base.extension().map_or("mp4".into(), |e| e.to_string_lossy().into_owned());
        let stem = base.file_stem().map_or(stem, |s| s.to_string_lossy().into_owned());
        let folder = self.args.output.as_deref().unwrap_or(folder);
        Ok(folder.join(format!("{stem}-{variant}.{ending}")))
    }

    /// Text to the output file, or to standard output.
    fn text(&self, text: &str) -> anyhow::Result<()> {
        let Some(output) = &self.args.output else {
            self.session.output.bytes(text.as_bytes())?;
            return self.session.output.bytes(b"\n");
        };
        refuse_same_file(self.spec, output)?;
        let mut staged = StagedFile::new(output)?;
        staged.write(text.as_bytes())?;
        staged.write(b"\n")?;
        staged.publish()?;
        self.written(output)
    }

    fn written(&self, output: &Path) -> anyhow::Result<()> {
        let output = output.to_string_lossy().into_owned();
        let shown = plain(&output).into_owned();
        self.session.output.data(&shown, &Written { r#type: "written", output })
    }

    fn frame(&self, edit: &Edit, time: Timestamp) -> anyhow::Result<()> {
        let usual = self.spec.with_extension("png");
        let output = self.args.output.as_deref().unwrap_or(&usual);
        let format = PictureFormat::from_extension(output)
            .ok_or_else(|| anyhow::anyhow!("{}: name it .png, .jpg or .webp", output.display()))?;
        edit.refuse(output)?;
        let picture = edit.frame(time)?;
        let mut staged = StagedFile::new(output)?;
        staged.write(&format.encode(&picture)?)?;
        staged.publish()?;
        self.written(output)
    }
}

fn jobs(session: &Session, jobs: Option<NonZeroUsize>) -> NonZeroUsize {
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    jobs.or(session.run.threads).unwrap_or(cores)
}

fn rendered(session: &Session, variant: Option<&str>, report: RenderReport) -> anyhow::Result<()> {
    let shown = plain(&report.output.to_string_lossy()).into_owned();
    let RenderReport { frames, copied, cached, encoded, current, .. } = report;
    let text = if current {
        format!("{shown}: up to date, {frames} frames")
    } else {
        format!("{shown}: {frames} frames, {copied} copied, {cached} found, {encoded} encoded")
    };
    session.output.data(&text, &Rendered { r#type: "render", variant, report })
}

fn planned(
    session: &Session,
    file: &Path,
    variant: Option<&str>,
    report: PlanReport,
) -> anyhow::Result<()> {
    let output = file.to_string_lossy().into_owned();
    let mut text = format!(
        "{}: {} frames: {} to copy, {} found, {} to encode ({:.0} megapixels)",
        plain(&output),
        report.frames,
        report.copied,
        report.cached,
        report.encoded,
        report.megapixels
    );
    if report.encoded > 0 {
        let by = if report.pace.measured { "as the last time" } else { "by a table" };
        let each = report.memory.each >> 20;
        text += &format!(
            "\n  about {:.0} s with {} jobs, {:.0} CPU-s ({by}); {} MB and {each} MB a job",
            report.seconds.ceil(),
            report.jobs,
            report.cpu_seconds.ceil(),
            report.memory.base >> 20
        );
    }
    for planned in &report.segments {
        let segment = &planned.segment;
        let what = match &segment.how {
            How::Copied { asset, .. } => format!("copied from {}", plain(asset)),
            How::Encoded { .. } if planned.cached => "found".to_owned(),
            How::Encoded { why, .. } => format!("encoded: {why}"),
        };
        text += &format!("\n  {:>8} to {:<8} {what}", segment.start, segment.end);
    }
    session.output.data(&text, &PlannedRecord { r#type: "plan", output, variant, report })
}

pub fn cut(session: &Session, args: &CutArgs) -> anyhow::Result<Status> {
    let to = match (args.to, args.length) {
        (None, Some(length)) => Some(args.from.unwrap_or(Timestamp::ZERO).plus(length)),
        (to, _) => to,
    };
    if let (Some(to), from) = (to, args.from.unwrap_or(Timestamp::ZERO))
        && to <= from
    {
        anyhow::bail!("--to must lie behind --from");
    }
    let stretch = Stretch { film: args.film.clone(), from: args.from, to };
    quick(session, &[stretch], &args.way)
}

pub fn concat(session: &Session, args: &ConcatArgs) -> anyhow::Result<Status> {
    let stretches: Vec<_> = args
        .films
        .iter()
        .map(|film| Stretch { film: film.clone(), from: None, to: None })
        .collect();
    quick(session, &stretches, &args.way)
}

/// Renders `stretches` into `output`, copying what can be copied.
pub fn cut_to(
    session: &Session,
    stretches: &[Stretch],
    output: &Path,
) -> anyhow::Result<RenderReport> {
    let (limits, cancel) = (&session.run.limits, &session.run.cancel);
    let made = render::sequence(stretches, limits, cancel)?;
    let mut wanted = made.outputs.first().cloned();
    if let Some(wanted) = &mut wanted {
        wanted.copy = Some(true);
    }
    let edit = Edit::open(made, Path::new(""), limits, cancel)?
        .jobs(jobs(session, None))
        .force(session.run.force);
    let target = Target::new(&edit.timeline().canvas, wanted.as_ref(), output)?;
    Ok(edit.render(&target, output)?)
}

fn quick(session: &Session, stretches: &[Stretch], way: &Way) -> anyhow::Result<Status> {
    let work = || -> anyhow::Result<()> {
        let (limits, cancel) = (&session.run.limits, &session.run.cancel);
        let made = render::sequence(stretches, limits, cancel)?;
        let mut wanted = made.outputs.first().cloned();
        if let Some(wanted) = &mut wanted {
            wanted.copy = Some(!way.encode);
        }
        let bar = Bar::new(&way.output, 1, 1, !session.output.quiet && !session.output.json);
        let edit = Edit::open(made, Path::new(""), limits, cancel)?
            .jobs(jobs(session, way.jobs))
            .force(session.run.force)
            .on_progress(bar.callback());
        let target = Target::new(&edit.timeline().canvas, wanted.as_ref(), &way.output)?;
        if way.plan {
            drop(bar);
            return planned(session, &way.output, None, edit.plan(&target, &way.output)?);
        }
        let report = edit.render(&target, &way.output)?;
        drop(bar);
        rendered(session, None, report)
    };
    match work() {
        Ok(()) => Ok(Status::Ok),
        Err(error) => {
            let error = error.downcast::<Error>()?;
            session.output.failure(&error)?;
            Ok(Status::Ok.and_failure(&error, true))
        }
    }
}

#[derive(Serialize)]
struct Verified {
    r#type: &'static str,
    input: String,
    #[serde(flatten)]
    report: VerifyReport,
}

pub fn verify(session: &Session, args: &VerifyArgs) -> anyhow::Result<Status> {
    session.for_each(&args.films, |film, _, run| {
        let report = render::verify(film, !args.quick, &run.limits, &run.cancel)?;
        let input = film.to_string_lossy().into_owned();
        let shown = plain(&input).into_owned();
        for suspicion in &report.suspicions {
            if !session.output.quiet {
                let span = suspicion.span;
                say(&format!("{shown}: {:?} from {} to {}", suspicion.what, span.start, span.end));
            }
        }
        if !report.faults.is_empty() {
            let what = report.faults.join("; ");
            return Err(Error::new(ErrorKind::Input, Stage::Render, what)
                .input(film)
                .hint("render it again"));
        }
        let text = format!("{shown}: as it was written, {} frames", report.frames);
        let record = Verified { r#type: "verify", input, report };
        Ok(Shown { text, record, notices: Vec::new() })
    })
}
