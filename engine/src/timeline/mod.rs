//! The edit spec: what is shown and heard when. Reading it (JSON or JSON5), finding everything
//! that is wrong with it at once, variables and variants, and laying it out on the clock. Pure:
//! no files, no media; [`Facts`] says what the assets are.
//!
//! `docs/timeline.md` explains the format, `docs/schema/timeline.schema.json` is its schema.

mod check;
mod draft;
mod edl;
mod fault;
mod layout;
mod otio;
mod preset;
mod reader;
mod spec;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod variables;

pub use draft::Draft;
pub use edl::write_edl;
pub use fault::{Fault, Faults, step};
pub(crate) use layout::NORMAL_SPEED;
pub use layout::{AssetFacts, Clip, Facts, Layout, Shown, SoundClip, Wipe};
pub use otio::{read_otio, write_otio};
pub use preset::Preset;
pub use spec::*;
pub use value::{Animated, Ease, Keyframe, Rate, Rgb, Size, Time};
pub use variables::{Values, Variant};

use reader::{Node, Spec};
use serde_json::Value;
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A spec as it was written, before values are put in for its variables.
#[derive(Clone, Debug)]
pub struct Template {
    tree: Value,
    variables: BTreeMap<String, Variable>,
    matrix: BTreeMap<String, Vec<Value>>,
    /// What is wrong with its variables.
    faults: Faults,
}

impl Template {
    /// Reads JSON or JSON5.
    ///
    /// # Errors
    /// Where it is neither, is too large or too deep, and what is wrong with its variables.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        Self::from_tree(tree::parse(text)?)
    }

    /// Reads JSON or JSON5 and keeps what is wrong with its variables for [`Self::draft`].
    ///
    /// # Errors
    /// Where it is neither, is too large or too deep, or is no object.
    pub fn sketch(text: &str) -> Result<Self, Faults> {
        Self::of_tree(tree::parse(text)?)
    }

    /// Takes a tree that was parsed already.
    ///
    /// # Errors
    /// What is wrong with its variables.
    pub fn from_tree(tree: Value) -> Result<Self, Faults> {
        let mut made = Self::of_tree(tree)?;
        std::mem::take(&mut made.faults).or(Some(made))
    }

    fn of_tree(tree: Value) -> Result<Self, Faults> {
        let faults = RefCell::new(Faults::default());
        let Some(fields) = tree.as_object() else {
            let mut faults = faults.into_inner();
            faults.add("", "must be an object {...}");
            return Err(faults);
        };
        let at = |name: &str| {
            let value = fields.get(name)?;
            Some(Node { value, pointer: step("", name), faults: &faults })
        };
        let variables = at("variables").map_or_else(|| Some(BTreeMap::new()), Spec::read);
        let matrix = at("matrix").map_or_else(|| Some(BTreeMap::new()), Spec::read);
        let mut faults = faults.into_inner();
        if let (Some(variables), Some(matrix)) = (&variables, &matrix) {
            variables::check(variables, matrix, &mut faults);
        }
        let (variables, matrix) = (variables.unwrap_or_default(), matrix.unwrap_or_default());
        Ok(Self { tree, variables, matrix, faults })
    }

    /// Has the edit made for the preset of this name: its canvas has the preset's size, its outputs are
    /// coded as the preset says, and it is as loud unless it says otherwise.
    ///
    /// # Errors
    /// If there is no such preset.
    pub fn preset(&mut self, name: &str) -> Result<(), Faults> {
        let preset = Preset::named(name, "")?;
        preset.apply(name, &mut self.tree);
        Ok(())
    }

    /// The variables that may be set.
    pub fn variables(&self) -> &BTreeMap<String, Variable> {
        &self.variables
    }

    /// `text` as a value for variable `name`.
    ///
    /// # Errors
    /// If there is no such variable.
    pub fn value(&self, name: &str, text: &str) -> Result<Value, Faults> {
        match self.variables.get(name) {
            Some(variable) => Ok(variables::from_text(variable.r#type, text)),
            None => {
                let known: Vec<_> = self.variables.keys().map(String::as_str).collect();
                let mut faults = Faults::default();
                let known = if known.is_empty() { "it has none".into() } else { known.join(", ") };
                faults
                    .add("/variables", format!("there is no variable \"{name}\" (known: {known})"));
                Err(faults)
            }
        }
    }

    /// Every combination of the matrix's values; `set` values are the same in all of them.
    ///
    /// # Errors
    /// If there are too many.
    pub fn variants(&self, set: &Values) -> Result<Vec<Variant>, Faults> {
        let mut faults = Faults::default();
        let variants = variables::variants(&self.matrix, set, &mut faults);
        faults.or(Some(variants))
    }

    /// The edit with these values put in.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn fill(&self, set: &Values) -> Result<Timeline, Faults> {
        self.draft(set).whole()
    }

    /// What can be read of the edit with these values put in, and everything that is wrong with it:
    /// what its files add to that is found by whoever opens it.
    pub fn draft(&self, set: &Values) -> Draft {
        let mut faults = self.faults.clone();
        let values = variables::settle(&self.variables, set, &mut faults);
        let unsettled = !faults.is_empty();
        let mut places = Faults::default();
        let mut tree = variables::substitute(&self.tree, &values, &mut places);
        if let Some(fields) = tree.as_object_mut() {
            // What is wrong with them is known, and nothing else depends on them any more.
            if unsettled {
                fields.remove("variables");
                fields.remove("matrix");
            }
        }
        let known = |pointer: &str| {
            // A place whose variable has no value says nothing new.
            let name = self.tree.pointer(pointer).and_then(|place| place["$var"].as_str());
            name.is_some_and(|name| self.variables.contains_key(name))
        };
        let (known, new): (Vec<_>, Vec<_>) =
            places.0.into_iter().partition(|fault| known(&fault.pointer));
        let mut void: Vec<String> = known.into_iter().map(|fault| fault.pointer).collect();
        // Nor does one whose variable has a wrong value.
        let wrong = |name: &str| {
            let of_it = format!("/variables/{name}");
            faults.0.iter().any(|fault| fault.pointer == of_it)
        };
        void.extend(variables::places(&self.tree, &wrong));
        faults.0.extend(new);
        Draft::read(tree, faults, void)
    }
}

impl Timeline {
    /// Reads a spec whose variables, if it has any, all have defaults.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        Template::parse(text)?.fill(&Values::new())
    }

    /// Every item of every video track, with its place in the spec.
    pub fn items(&self) -> impl Iterator<Item = (String, &VideoItem)> {
        self.video.iter().enumerate().flat_map(|(t, track)| {
            let at = move |i| format!("/video/{t}/items/{i}");
            track.items.iter().enumerate().map(move |(i, item)| (at(i), item))
        })
    }

    /// As JSON that [`Self::parse`] reads.
    pub fn to_json(&self) -> Value {
        tree::without_nulls(serde_json::to_value(self).unwrap_or(Value::Null))
    }
}

/// The JSON Schema of version 1, as published in `docs/schema/timeline.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(Timeline).to_value()
}
