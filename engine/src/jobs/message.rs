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
//! refused: a sender is never misunderstood. `docs/schema/message.schema.json` is its schema,
//! `docs/batches.md` explains it.

use super::action::{Action, Embed, Frames, Pipeline, Process, Render, Transcribe};
use super::{Priority, UnixMillis};
use crate::error::{Error, ErrorKind, Result, Stage};
use schemars::{JsonSchema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::PathBuf;

/// The version of the message form.
pub const VERSION: u32 = 1;

/// Bytes of one message.
const MOST_BYTES: usize = 1 << 20;

/// A job for a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Message")]
struct Wire {
    /// Of the message form: 1.
    version: u32,
    /// The sender's name for it. A second message of the same id is the same job.
    id: String,
    /// The input's path.
    media: PathBuf,
    /// What is to be done with it.
    action: String,
    /// The action's parameters.
    params: serde_json::Value,
    /// How urgent it is among its tenant's jobs.
    #[serde(default)]
    #[schemars(with = "Urgency")]
    priority: Priority,
    /// Whose it is; empty for nobody in particular.
    #[serde(default)]
    tenant: String,
    /// When it was sent, in milliseconds since 1970.
    timestamp: UnixMillis,
    /// Where it may run.
    #[serde(default, skip_serializing_if = "On::is_any")]
    on: On,
    /// Whether it is done even if its output is current.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    force: bool,
    /// Safety limits that are changed for it, as `--allow` takes them: `duration=72h`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    allow: Vec<String>,
}

/// The words for [`Priority`], for the schema.
#[derive(JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(dead_code, reason = "only its schema is used: the scheduler knows nothing of schemas")]
enum Urgency {
    Low,
    Normal,
    High,
}

/// Where a job may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum On {
    /// On a GPU if that is better or sooner, else on the processors.
    #[default]
    Any,
    /// On the processors.
    Cpu,
    /// On a GPU, or not at all.
    Gpu,
}

impl On {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }
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
    /// Where it may run.
    pub on: On,
    /// Whether it is done even if its output is current.
    pub force: bool,
    /// Safety limits that are changed for it, as the command line's `--allow` takes them.
    pub allow: Vec<String>,
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
            on: wire.on,
            force: wire.force,
            allow: wire.allow,
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
            on: message.on,
            force: message.force,
            allow: message.allow,
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

/// The JSON Schema of version 1, as published in `docs/schema/message.schema.json`: which parameters
/// there are depends on the action.
pub fn message_schema() -> serde_json::Value {
    let mut generator = SchemaGenerator::default();
    let mut one_of = Vec::new();
    let mut add = |name: &str, params: schemars::Schema| {
        one_of.push(json!({"properties": {"action": {"const": name}, "params": params}}));
    };
    add("process", generator.subschema_for::<Process>());
    add("transcribe", generator.subschema_for::<Transcribe>());
    add("frames", generator.subschema_for::<Frames>());
    add("embed", generator.subschema_for::<Embed>());
    add("render", generator.subschema_for::<Render>());
    add("pipeline", generator.subschema_for::<Pipeline>());
    let mut schema = generator.into_root_schema_for::<Wire>();
    schema.insert("oneOf".to_owned(), one_of.into());
    schema.to_value()
}

pub(super) fn wrong(what: String) -> Error {
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
        let more = Message {
            on: On::Gpu,
            force: true,
            allow: vec!["duration=72h".into()],
            ..message.clone()
        };
        let text = serde_json::to_string(&more).unwrap();
        assert_eq!(Message::parse(&text).unwrap(), more);
    }

    #[test]
    fn pipelines_are_lists_of_steps_without_pipelines_among_them() {
        let steps = |steps: &str| {
            let params = format!("{{\"steps\":{steps}}}");
            Action::of("pipeline", serde_json::from_str(&params).unwrap())
        };
        let one = r#"{"action":"frames","params":{"output":"/o"}}"#;
        assert!(steps(&format!("[{one}]")).is_ok());
        let nested = format!(r#"{{"action":"pipeline","params":{{"steps":[{one}]}}}}"#);
        let many = vec![one; 33].join(",");
        for wrong in [
            "[]",
            &format!("[{nested}]"),
            &format!("[{many}]"),
            r#"[{"action":"melt","params":{}}]"#,
        ] {
            assert_eq!(steps(wrong).unwrap_err().kind(), ErrorKind::Input, "{wrong}");
        }
    }

    /// Run with `RUSHES_WRITE_SCHEMA=1` in the environment of the test to write it.
    #[test]
    fn the_published_schema_is_current() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/schema/message.schema.json");
        let schema = serde_json::to_string_pretty(&message_schema()).unwrap() + "\n";
        if std::env::var_os("RUSHES_WRITE_SCHEMA").is_some() {
            std::fs::write(path, &schema).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap(), schema, "set RUSHES_WRITE_SCHEMA=1");
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
