//! Which stages must run on a film, and why.

use super::stage::{FilmStage, StageInputs};
use crate::control::Cancel;
use crate::error::Result;
use crate::library::catalogue::RunRow;
use crate::library::{Catalogue, ContentId, Identity, KeyParts, Library, Trust};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Why a stage runs, or does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Why {
    /// Its result is there.
    Current,
    /// It never ran on this content.
    New,
    /// It failed before, with this message.
    Failed {
        /// The message.
        message: String,
    },
    /// Parts of its key are others than those of its result.
    Changed {
        /// Which, and from what to what.
        changes: Vec<String>,
    },
    /// Its files are not as they were stored.
    Damaged {
        /// Which files, and what is wrong.
        damage: Vec<String>,
    },
    /// It was asked to.
    Forced,
    /// The result of this stage is made anew.
    InputAgain {
        /// The stage.
        input: String,
    },
}

impl std::fmt::Display for Why {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Current => f.write_str("up to date"),
            Self::New => f.write_str("never ran on this content"),
            Self::Failed { message } => write!(f, "failed: {message}"),
            Self::Changed { changes } => f.write_str(&changes.join("; ")),
            Self::Damaged { damage } => {
                let more = damage.len().saturating_sub(3);
                write!(f, "damaged: {}", damage[..damage.len() - more].join(", "))?;
                if more > 0 { write!(f, " and {more} more") } else { Ok(()) }
            }
            Self::Forced => f.write_str("asked to run again"),
            Self::InputAgain { input } => write!(f, "{input} is made anew"),
        }
    }
}

/// One stage of a plan.
#[derive(Clone, Debug)]
pub struct Planned {
    /// What decides its result.
    pub parts: KeyParts,
    /// Whether it runs.
    pub why: Why,
    /// Whether an earlier result goes, rather than only its files being made anew.
    pub(super) replace: bool,
}

impl Planned {
    /// Whether it runs.
    pub fn runs(&self) -> bool {
        self.why != Why::Current
    }
}

/// What the library knows of a film's results.
pub(super) struct Known {
    done: BTreeMap<String, RunRow>,
    failed: BTreeMap<String, RunRow>,
    damage: BTreeMap<i64, Vec<String>>,
}

impl Known {
    /// What is known of `identity`, whose files are looked at.
    pub(super) fn look(
        library: &Library,
        catalogue: Option<&Catalogue>,
        identity: &Identity,
        trust: Trust,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut known =
            Self { done: BTreeMap::new(), failed: BTreeMap::new(), damage: BTreeMap::new() };
        let (Some(catalogue), Some(media)) = (catalogue, &identity.media) else {
            return Ok(known);
        };
        for run in catalogue.runs_of(media.id)? {
            if let Some(damage) = &run.damage {
                known.damage.entry(run.id).or_default().push(damage.clone());
            }
            let list = if run.done { &mut known.done } else { &mut known.failed };
            list.insert(run.parts.stage.clone(), run);
        }
        for (row, what) in library.damaged(catalogue, media.id, trust, cancel)? {
            let damage = known.damage.entry(row.run).or_default();
            let told = format!("{} {what}", row.path);
            if !damage.iter().any(|known| known.contains(&told)) {
                damage.push(told);
            }
        }
        Ok(known)
    }
}

/// Decides for each of `stages`, which come in an order in which inputs are first.
pub(super) fn plan(
    stages: &[Box<dyn FilmStage + '_>],
    content: &ContentId,
    known: &Known,
    force: bool,
) -> Vec<Planned> {
    let mut keys: BTreeMap<String, String> =
        known.done.iter().map(|(stage, run)| (stage.clone(), run.key.to_string())).collect();
    let mut replaced: BTreeSet<String> = BTreeSet::new();
    let mut planned = Vec::new();
    for stage in stages {
        let name = stage.name();
        let mut parts = KeyParts::new(name, stage.version(), content, stage.parameters());
        parts.models = stage.models();
        parts.inputs = match stage.inputs() {
            StageInputs::Film => BTreeMap::new(),
            StageInputs::Of(names) => names
                .iter()
                .filter_map(|name| Some(((*name).to_owned(), keys.get(*name)?.clone())))
                .collect(),
            StageInputs::All => {
                let mut all = keys.clone();
                all.remove(name);
                all
            }
        };
        let key = parts.key();
        let again = parts.inputs.keys().find(|input| replaced.contains(*input));
        let (why, replace) = match known.done.get(name) {
            _ if force => (Why::Forced, true),
            None => match known.failed.get(name) {
                Some(run) => (Why::Failed { message: run.note.clone().unwrap_or_default() }, true),
                None => (Why::New, true),
            },
            Some(run) if run.key != key => {
                (Why::Changed { changes: parts.changes_since(&run.parts) }, true)
            }
            Some(_) if again.is_some() => {
                let input = again.cloned().unwrap_or_default();
                (Why::InputAgain { input }, true)
            }
            Some(run) => match known.damage.get(&run.id) {
                Some(damage) => (Why::Damaged { damage: damage.clone() }, false),
                None => (Why::Current, false),
            },
        };
        if replace {
            replaced.insert(name.to_owned());
        }
        keys.insert(name.to_owned(), key.to_string());
        planned.push(Planned { parts, why, replace });
    }
    planned
}
