//! Lists of jobs in files: JSON lines, CSV, TOML.
//!
//! Each item has `media`, and may have `action`, `priority`, `tenant`, `key`, `needs` (keys of items that
//! must be done before), `on` (any, cpu, gpu) and any parameter of its action. What it leaves out is taken from the TOML
//! file's `[template]`, then from the command line. Paths are relative to the file.

use anyhow::{Context, Result, bail, ensure};
use rushes::jobs::{Action, On, Priority};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};

/// Bytes of a list that is read.
const MOST_BYTES: u64 = 256 << 20;

/// What is meant where an item does not say.
#[derive(Clone, Debug)]
pub struct Defaults {
    pub action: String,
    pub priority: Priority,
    pub on: On,
    /// Parameters of any action; those that an action does not have are left out.
    pub params: Map<String, Value>,
}

/// One item.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    pub media: PathBuf,
    pub action: Action,
    pub priority: Priority,
    pub tenant: String,
    /// What others call it in their `needs`.
    pub key: Option<String>,
    pub needs: Vec<String>,
    pub on: On,
}

/// Whether a file's name says that it is a list.
pub fn is_manifest(file: &Path) -> bool {
    let extension = file.extension().and_then(|e| e.to_str());
    matches!(extension, Some("jsonl" | "ndjson" | "csv" | "toml")) && !file.is_dir()
}

/// The items of a list.
pub fn read(file: &Path, defaults: &Defaults) -> Result<Vec<Item>> {
    let name = || file.display().to_string();
    let size = std::fs::metadata(file).with_context(name)?.len();
    ensure!(size <= MOST_BYTES, "{}: a list of more than 256 MiB", name());
    let text = std::fs::read_to_string(file).with_context(name)?;
    let mut defaults = defaults.clone();
    let rows = match file.extension().and_then(|e| e.to_str()) {
        Some("csv") => csv(&text),
        Some("toml") => toml_rows(&text, &mut defaults),
        _ => json_lines(&text),
    };
    let folder = file.parent().unwrap_or(Path::new(""));
    let mut items = Vec::new();
    for (place, row) in rows.with_context(name)? {
        let item = item(row, &defaults, folder).with_context(|| format!("{}: {place}", name()))?;
        items.push(item);
    }
    ensure!(!items.is_empty(), "{}: holds no items", name());
    Ok(items)
}

type Rows = Vec<(String, Map<String, Value>)>;

fn json_lines(text: &str) -> Result<Rows> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    lines
        .map(|(n, line)| {
            let place = format!("line {}", n + 1);
            let row = serde_json::from_str(line).with_context(|| place.clone())?;
            Ok((place, row))
        })
        .collect()
}

fn toml_rows(text: &str, defaults: &mut Defaults) -> Result<Rows> {
    #[derive(serde::Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        template: Map<String, Value>,
        #[serde(default, rename = "job")]
        jobs: Vec<Map<String, Value>>,
    }
    let mut file: File = toml::from_str(text)?;
    if let Some(action) = take_text(&mut file.template, "action")? {
        defaults.action = action;
    }
    if let Some(priority) = file.template.remove("priority") {
        defaults.priority = serde_json::from_value(priority).context("[template]")?;
    }
    defaults.params.append(&mut file.template);
    let numbered = (1..).zip(file.jobs);
    Ok(numbered.map(|(n, row)| (format!("[[job]] number {n}"), row)).collect())
}

/// CSV with a head line (RFC 4180): quotes around values with commas, quotes and line ends.
fn csv(text: &str) -> Result<Rows> {
    let mut records = Vec::new();
    let mut record: Vec<String> = Vec::new();
    let (mut value, mut quoted, mut line) = (String::new(), false, 1);
    let mut began = 1;
    let mut chars = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = chars.next() {
        line += usize::from(c == '\n');
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                value.push('"');
            }
            '"' if quoted => quoted = false,
            '"' if value.is_empty() => quoted = true,
            ',' if !quoted => record.push(std::mem::take(&mut value)),
            '\r' if !quoted && chars.peek() == Some(&'\n') => {}
            '\n' if !quoted => {
                record.push(std::mem::take(&mut value));
                records.push((began, std::mem::take(&mut record)));
                began = line;
            }
            c => value.push(c),
        }
    }
    ensure!(!quoted, "line {began}: a quote is not closed");
    if !value.is_empty() || !record.is_empty() {
        record.push(value);
        records.push((began, record));
    }
    records.retain(|(_, record)| record.iter().any(|value| !value.trim().is_empty()));
    let mut records = records.into_iter();
    let (_, head) = records.next().context("is empty")?;
    ensure!(head.iter().any(|name| name.trim() == "media"), "the head line names no `media`");
    records
        .map(|(line, record)| {
            ensure!(
                record.len() == head.len(),
                "line {line}: {} values, not {}",
                record.len(),
                head.len()
            );
            let cells = head.iter().zip(record).filter(|(_, value)| !value.trim().is_empty());
            let row = cells.map(|(name, value)| {
                let (name, value) = (name.trim(), value.trim());
                let value = match name {
                    "stages" | "format" | "needs" => {
                        value.split([';', ' ']).filter(|s| !s.is_empty()).map(Value::from).collect()
                    }
                    "width" => value.parse::<u64>().map_or_else(|_| value.into(), Value::from),
                    _ => Value::from(value),
                };
                (name.to_owned(), value)
            });
            Ok((format!("line {line}"), row.collect()))
        })
        .collect()
}

fn take_text(row: &mut Map<String, Value>, name: &str) -> Result<Option<String>> {
    match row.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => bail!("`{name}` is {other}, not a text"),
    }
}

fn item(mut row: Map<String, Value>, defaults: &Defaults, folder: &Path) -> Result<Item> {
    let media = take_text(&mut row, "media")?.context("names no `media`")?;
    let action = take_text(&mut row, "action")?.unwrap_or_else(|| defaults.action.clone());
    let priority = match row.remove("priority") {
        Some(word) => serde_json::from_value(word).context("priority")?,
        None => defaults.priority,
    };
    let tenant = take_text(&mut row, "tenant")?.unwrap_or_default();
    let key = take_text(&mut row, "key")?;
    let needs = match row.remove("needs") {
        Some(list) => serde_json::from_value(list).context("needs")?,
        None => Vec::new(),
    };
    let on = match row.remove("on") {
        Some(word) => serde_json::from_value(word).context("on")?,
        None => defaults.on,
    };
    let action = with_defaults(&action, row, &defaults.params)?;
    let action = beside(action, folder)?;
    Ok(Item { media: folder.join(media), action, priority, tenant, key, needs, on })
}

/// The action with its folders relative to `folder`; those of the command line are whole already.
fn beside(mut action: Action, folder: &Path) -> Result<Action> {
    let whole = |path: &Path| {
        let path = folder.join(path);
        std::path::absolute(&path).unwrap_or(path)
    };
    if let Action::Pipeline(pipeline) = &mut action {
        for step in &mut pipeline.steps {
            step.media = step.media.as_deref().map(whole);
            let made = beside(step.read()?, folder)?;
            step.params = made.params();
        }
    } else if let Some(written) = action.folder_mut() {
        *written = whole(written);
    }
    Ok(action)
}

/// The action with its own parameters, and those of `defaults` that it has and was not given.
pub fn with_defaults(
    action: &str,
    mut params: Map<String, Value>,
    defaults: &Map<String, Value>,
) -> Result<Action> {
    if let ("pipeline", Some(Value::Array(steps))) = (action, params.get_mut("steps")) {
        for step in steps.iter_mut().filter_map(Value::as_object_mut) {
            let Some(Value::String(action)) = step.get("action").cloned() else { continue };
            let own = match step.remove("params") {
                Some(Value::Object(own)) => own,
                None => Map::new(),
                Some(other) => bail!("`params` of a step is {other}, not an object"),
            };
            let made = with_defaults(&action, own, defaults)?;
            step.insert("params".into(), made.params());
        }
    }
    let has: &[&str] = match action {
        "process" => &["library", "every", "width", "stages", "model"],
        "transcribe" => &["output", "format", "model", "language"],
        "frames" => &["output", "every", "width"],
        "embed" => &["library"],
        "render" => &["output", "preview"],
        _ => &[],
    };
    for (name, value) in defaults.iter().filter(|(name, _)| has.contains(&name.as_str())) {
        params.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(Action::of(action, params.into())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        let params = serde_json::json!({"library": "lib", "output": "out", "every": "5s"});
        let Value::Object(params) = params else { panic!() };
        let priority = Priority::Normal;
        Defaults { action: "process".into(), priority, on: On::Any, params }
    }

    fn items(name: &str, text: &str) -> Result<Vec<Item>> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(name);
        std::fs::write(&file, text).unwrap();
        assert!(is_manifest(&file));
        let mut items = read(&file, &defaults())?;
        let inside = |path: &Path| path.strip_prefix(dir.path()).unwrap_or(path).to_path_buf();
        for item in &mut items {
            item.media = inside(&item.media);
            if let Some(folder) = item.action.folder_mut() {
                *folder = inside(folder);
            }
        }
        Ok(items)
    }

    /// The same list in three forms.
    #[test]
    fn three_forms_of_one_list() {
        let json = "{\"media\":\"a, b.mp4\",\"priority\":\"high\",\"key\":\"k\"}\n\n\
                    {\"media\":\"/c\",\"action\":\"frames\",\"width\":320,\"needs\":[\"k\"]}\n";
        let csv = "\u{feff}media,priority,key,action,width,needs\r\n\"a, b.mp4\",high,k,,,\r\n\
                   /c,,,frames,320,k";
        let toml = "[template]\npriority = 'high'\n[[job]]\nmedia = 'a, b.mp4'\nkey = 'k'\n\
                    [[job]]\nmedia = '/c'\naction = 'frames'\nwidth = 320\nneeds = ['k']\n\
                    priority = 'normal'";
        let made = items("l.jsonl", json).unwrap();
        assert_eq!(items("l.csv", csv).unwrap(), made);
        assert_eq!(items("l.toml", toml).unwrap(), made);
        assert_eq!(made[0].media, Path::new("a, b.mp4"));
        assert_eq!(made[0].action.name(), "process");
        let Action::Frames(frames) = &made[1].action else { panic!() };
        assert_eq!((frames.width, frames.every.as_deref()), (Some(320), Some("5s")));
        assert_eq!(frames.output, Path::new("out"));
    }

    #[test]
    fn steps_of_a_pipeline_take_defaults_too() {
        let line = "{\"media\":\"a\",\"action\":\"pipeline\",\"steps\":[{\"action\":\"process\"},\
                    {\"action\":\"render\",\"media\":\"reel.json\",\"params\":{\"preview\":true}}]}";
        let item = items("l.jsonl", line).unwrap().remove(0);
        let Action::Pipeline(pipeline) = item.action else { panic!() };
        let Action::Process(process) = pipeline.steps[0].read().unwrap() else { panic!() };
        assert_eq!(process.every.as_deref(), Some("5s"));
        assert!(process.library.ends_with("lib") && process.library.is_absolute());
        assert!(pipeline.steps[1].media.as_ref().unwrap().is_absolute());
        assert!(matches!(pipeline.steps[1].read().unwrap(), Action::Render(r) if r.preview));
    }

    #[test]
    fn mistakes_are_told_with_their_place() {
        for (name, text, says) in [
            ("l.jsonl", "{\"media\":\"a\"}\n{\"media\":3}", "line 2"),
            ("l.jsonl", "{\"media\":\"a\",\"widht\":3}", "widht"),
            ("l.jsonl", "", "no items"),
            ("l.csv", "media,width\na", "line 2"),
            ("l.csv", "media\n\"a", "quote"),
            ("l.csv", "file\na", "media"),
            ("l.toml", "[[job]]\nmedia='a'\naction='melt'", "melt"),
            ("l.toml", "[[jobs]]\nmedia='a'", "jobs"),
        ] {
            let error = items(name, text).unwrap_err();
            assert!(format!("{error:#}").contains(says), "{name} {text}: {error:#}");
        }
    }
}
