//! The edit spec: what is shown and heard when. Reading it (JSON or JSON5), finding everything
//! that is wrong with it at once, variables and variants, and laying it out on the clock. Pure:
//! no files, no media; [`Facts`] says what the assets are.
//!
//! `docs/timeline.md` explains the format, `docs/schema/timeline.schema.json` is its schema.

mod check;
mod edl;
mod fault;
mod layout;
mod otio;
mod reader;
mod spec;
#[cfg(test)]
mod tests;
mod tree;
mod value;
mod variables;

pub use edl::write_edl;
pub use fault::{Fault, Faults, step};
pub(crate) use layout::NORMAL_SPEED;
pub use layout::{AssetFacts, Clip, Facts, Layout, Shown, SoundClip, Wipe};
pub use otio::{read_otio, write_otio};
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
}

impl Template {
    /// Reads JSON or JSON5.
    ///
    /// # Errors
    /// Where it is neither, is too large or too deep, and what is wrong with its variables.
    pub fn parse(text: &str) -> Result<Self, Faults> {
        Self::from_tree(tree::parse(text)?)
    }

    /// Takes a tree that was parsed already.
    ///
    /// # Errors
    /// What is wrong with its variables.
    pub fn from_tree(tree: Value) -> Result<Self, Faults> {
        let faults = RefCell::new(Faults::default());
        let fields = tree.as_object();
        if fields.is_none() {
            faults.borrow_mut().add("", "must be an object {...}");
        }
        let at = |name: &str| {
            let value = fields.and_then(|fields| fields.get(name))?;
            Some(Node { value, pointer: step("", name), faults: &faults })
        };
        let variables = at("variables").map_or_else(|| Some(BTreeMap::new()), Spec::read);
        let matrix = at("matrix").map_or_else(|| Some(BTreeMap::new()), Spec::read);
        let mut faults = faults.into_inner();
        if let (Some(variables), Some(matrix)) = (&variables, &matrix) {
            variables::check(variables, matrix, &mut faults);
        }
        let (variables, matrix) = faults.or(variables.zip(matrix))?;
        Ok(Self { tree, variables, matrix })
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
        let mut faults = Faults::default();
        let values = variables::settle(&self.variables, set, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let tree = variables::substitute(&self.tree, &values, &mut faults);
        if !faults.is_empty() {
            return Err(faults);
        }
        let faults = RefCell::new(Faults::default());
        let node = Node { value: &tree, pointer: String::new(), faults: &faults };
        let timeline = Timeline::read(node);
        let mut faults = faults.into_inner();
        if let Some(timeline) = &timeline {
            timeline.check(&mut faults);
        }
        faults.or(timeline)
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

    /// As JSON that [`Self::parse`] reads.
    pub fn to_json(&self) -> Value {
        tree::without_nulls(serde_json::to_value(self).unwrap_or(Value::Null))
    }
}

/// The JSON Schema of version 1, as published in `docs/schema/timeline.schema.json`.
pub fn schema() -> Value {
    schemars::schema_for!(Timeline).to_value()
}
