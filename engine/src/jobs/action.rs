//! What can be done with an input, and the parameters of each action.

use super::message::wrong;
use crate::error::Result;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Steps that a pipeline may have.
const MOST_STEPS: usize = 32;

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
    /// Several of these, one after the other. A queue takes it on as a job for each step, of which
    /// each needs the one before; no worker ever meets one.
    Pipeline(Pipeline),
}

/// Parameters of `process`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Embed {
    /// The library's folder.
    pub library: PathBuf,
}

/// Parameters of `render`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Render {
    /// The folder to write to: the film is called as the spec, with `.mp4`.
    pub output: PathBuf,
    /// Whether small and quick will do.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub preview: bool,
}

/// Parameters of `pipeline`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Pipeline {
    /// What is done in turn, 1 to 32 of them.
    #[schemars(length(min = 1, max = 32))]
    pub steps: Vec<Step>,
}

/// A step of a pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// Its input, where that is not the pipeline's: a spec that renders what an earlier step found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub media: Option<PathBuf>,
    /// Any action but `pipeline`.
    pub action: String,
    /// The action's parameters.
    pub params: serde_json::Value,
}

impl Action {
    /// The names of the actions that a worker can do.
    pub const NAMES: [&'static str; 5] = ["process", "transcribe", "frames", "embed", "render"];

    /// The word for it in messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Process(_) => "process",
            Self::Transcribe(_) => "transcribe",
            Self::Frames(_) => "frames",
            Self::Embed(_) => "embed",
            Self::Render(_) => "render",
            Self::Pipeline(_) => "pipeline",
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
            Self::Pipeline(params) => serde_json::to_value(params),
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
            "pipeline" => Self::Pipeline(read(params)?),
            _ => return Err(wrong(format!("there is no action `{name}`"))),
        };
        if let Self::Pipeline(pipeline) = &action {
            if !(1..=MOST_STEPS).contains(&pipeline.steps.len()) {
                return Err(wrong(format!("a pipeline has 1 to {MOST_STEPS} steps")));
            }
            for step in &pipeline.steps {
                if let Self::Pipeline(_) = step.read()? {
                    return Err(wrong("a pipeline is no step of another".into()));
                }
            }
            return Ok(action);
        }
        if action.folder().is_none_or(|folder| folder.as_os_str().is_empty()) {
            return Err(wrong(format!("{name} needs a folder to write to")));
        }
        Ok(action)
    }

    /// The folder that it writes to: a library, or a folder of outputs; `None` for a pipeline, whose
    /// steps have theirs.
    pub fn folder(&self) -> Option<&Path> {
        Some(match self {
            Self::Process(p) => &p.library,
            Self::Transcribe(p) => &p.output,
            Self::Frames(p) => &p.output,
            Self::Embed(p) => &p.library,
            Self::Render(p) => &p.output,
            Self::Pipeline(_) => return None,
        })
    }

    /// As [`Action::folder`], to be changed.
    pub fn folder_mut(&mut self) -> Option<&mut PathBuf> {
        Some(match self {
            Self::Process(p) => &mut p.library,
            Self::Transcribe(p) => &mut p.output,
            Self::Frames(p) => &mut p.output,
            Self::Embed(p) => &mut p.library,
            Self::Render(p) => &mut p.output,
            Self::Pipeline(_) => return None,
        })
    }
}

impl Step {
    /// The step's action.
    ///
    /// # Errors
    /// As [`Action::of`].
    pub fn read(&self) -> Result<Action> {
        Action::of(&self.action, self.params.clone())
    }
}
