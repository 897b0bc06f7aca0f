//! The message form: what a job is, as JSON. Version 1:
//!
//! ```json
//! {"version": 1, "id": "a3f1", "media": "/films/talk.mp4", "action": "process",
//!  "params": {"library": "/films/library", "every": "5s"},
//!  "priority": "normal", "tenant": "", "timestamp": 1795000000000}
//! ```
//!
//! `id` is the sender's name for it, `media` the input's path, `timestamp` when it was sent
//! (milliseconds since 1970). `params` are those of the action. Unknown fields and a higher version are
//! refused: a sender is never misunderstood.

use super::{Priority, UnixMillis};
use crate::error::{Error, ErrorKind, Result, Stage};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The version of the message form.
pub const VERSION: u32 = 1;

/// Bytes of one message.
const MOST_BYTES: usize = 1 << 20;

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: u32,
    id: String,
    media: PathBuf,
    action: String,
    params: serde_json::Value,
    #[serde(default)]
    priority: Priority,
    #[serde(default)]
    tenant: String,
    timestamp: UnixMillis,
}

/// What a job is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "serde_json::Value", try_from = "serde_json::Value")]
pub struct Message {
    /// The sender's name for it.
    pub id: String,
    /// The input's path.
    pub media: PathBuf,
    /// What is to be done with it.
    pub action: Action,
    /// How urgent it is.
    pub priority: Priority,
    /// Whose it is; empty for nobody in particular.
    pub tenant: String,
    /// When it was sent.
    pub timestamp: UnixMillis,
}

/// What can be done with an input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Everything, into a library.
    Process(Process),
    /// Subtitles into a folder.
    Transcribe(Transcribe),
    /// Pictures into a folder.
    Frames(Frames),
    /// What is shown and said as vectors, into a library.
    Embed(Embed),
    /// A film from a spec (the input), into a folder.
    Render(Render),
}

/// Parameters of `process`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Process {
    /// The library's folder.
    pub library: PathBuf,
    /// A frame every so much time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Width of the frames in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
    /// What to make; empty for everything that can be.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stages: Vec<String>,
    /// The speech model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
}

/// Parameters of `transcribe`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Transcribe {
    /// The folder to write to.
    pub output: PathBuf,
    /// Formats of subtitles.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub format: Vec<String>,
    /// The speech model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// The language that is spoken, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// Parameters of `frames`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Frames {
    /// The folder to write to; each film gets a folder of its own in it.
    pub output: PathBuf,
    /// A frame every so much time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<String>,
    /// Width in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub width: Option<u32>,
}

/// Parameters of `embed`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Embed {
    /// The library's folder.
    pub library: PathBuf,
}

/// Parameters of `render`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Render {
    /// The folder to write to: the film is called as the spec, with `.mp4`.
    pub output: PathBuf,
    /// Whether small and quick will do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
}

impl Action {
    /// The names of all actions.
    pub const NAMES: [&'static str; 5] = ["process", "transcribe", "frames", "embed", "render"];

    /// The word for it in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Transcribe(_) => "transcribe",
            Self::Frames(_) => "frames",
            Self::Embed(_) => "embed",
            Self::Render(_) => "render",
        }
    }

    /// Its parameters as in messages.
    pub fn params(&self) -> serde_json::Value {
        let made = match self {
            Self::Process(params) => serde_json::to_value(params),
            Self::Transcribe(params) => serde_json::to_value(params),
            Self::Frames(params) => serde_json::to_value(params),
            Self::Embed(params) => serde_json::to_value(params),
            Self::Render(params) => serde_json::to_value(params),
        };
        made.unwrap_or_default()
    }

    /// The action called `name` with `params`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for an action that is not there and parameters that it does not have.
    pub fn of(name: &str, params: serde_json::Value) -> Result<Self> {
        fn read<T: serde::de::DeserializeOwned>(params: serde_json::Value) -> Result<T> {
            serde_json::from_value(params).map_err(|e| wrong(format!("parameters: {e}")))
        }
        let action = match name {
            "process" => Self::Process(read(params)?),
            "transcribe" => Self::Transcribe(read(params)?),
            "frames" => Self::Frames(read(params)?),
            "embed" => Self::Embed(read(params)?),
            "render" => Self::Render(read(params)?),
            _ => return Err(wrong(format!("there is no action `{name}`"))),
        };
        let folder = match &action {
            Self::Process(p) => &p.library,
            Self::Transcribe(p) => &p.output,
            Self::Frames(p) => &p.output,
            Self::Embed(p) => &p.library,
            Self::Render(p) => &p.output,
        };
        if folder.as_os_str().is_empty() {
            return Err(wrong(format!("{name} needs a folder to write to")));
        }
        Ok(action)
    }
}

impl Message {
    /// The message in `text`.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if it is none; [`ErrorKind::Unsupported`] for a later version.
    pub fn parse(text: &str) -> Result<Self> {
        if text.len() > MOST_BYTES {
            return Err(Error::new(
                ErrorKind::Limit,
                Stage::Process,
                "a message of more than 1 MiB",
            ));
        }
        let value = serde_json::from_str(text).map_err(|e| wrong(format!("no JSON: {e}")))?;
        Self::of(value)
    }

    fn of(value: serde_json::Value) -> Result<Self> {
        let version = value.get("version").and_then(serde_json::Value::as_u64);
        if version.is_some_and(|version| version > u64::from(VERSION)) {
            let what = "was written by a newer rushes (this one knows messages of version 1)";
            return Err(Error::new(ErrorKind::Unsupported, Stage::Process, what));
        }
        let wire: Wire = serde_json::from_value(value).map_err(|e| wrong(e.to_string()))?;
        Ok(Self {
            id: wire.id,
            media: wire.media,
            action: Action::of(&wire.action, wire.params)?,
            priority: wire.priority,
            tenant: wire.tenant,
            timestamp: wire.timestamp,
        })
    }
}

impl From<Message> for serde_json::Value {
    fn from(message: Message) -> Self {
        let wire = Wire {
            version: VERSION,
            id: message.id,
            action: message.action.name().to_owned(),
            params: message.action.params(),
            media: message.media,
            priority: message.priority,
            tenant: message.tenant,
            timestamp: message.timestamp,
        };
        serde_json::to_value(wire).unwrap_or_default()
    }
}

impl TryFrom<serde_json::Value> for Message {
    type Error = Error;

    fn try_from(value: serde_json::Value) -> Result<Self> {
        Self::of(value)
    }
}

fn wrong(what: String) -> Error {
    Error::new(ErrorKind::Input, Stage::Process, format!("is no message: {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"version":1,"id":"a","media":"/m.mp4","action":"frames",
        "params":{"output":"/out","every":"2s"},"priority":"high","timestamp":5}"#;

    #[test]
    fn messages_come_back_as_they_were() {
        let message = Message::parse(TEXT).unwrap();
        assert_eq!(message.priority, Priority::High);
        let Action::Frames(frames) = &message.action else { panic!() };
        assert_eq!(frames.every.as_deref(), Some("2s"));
        let text = serde_json::to_string(&message).unwrap();
        assert_eq!(Message::parse(&text).unwrap(), message);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for (from, to, kind) in [
            ("\"version\":1", "\"version\":2", ErrorKind::Unsupported),
            ("\"frames\"", "\"melt\"", ErrorKind::Input),
            ("\"every\"", "\"evry\"", ErrorKind::Input),
            ("\"output\":\"/out\",", "", ErrorKind::Input),
            ("\"id\"", "\"colour\":1,\"id\"", ErrorKind::Input),
            ("\"high\"", "\"higher\"", ErrorKind::Input),
            ("{", "", ErrorKind::Input),
        ] {
            let error = Message::parse(&TEXT.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.kind(), kind, "{to}: {error}");
        }
    }
}
