//! Reads a parsed JSON tree into typed values and goes on after a mistake, so that one reading
//! finds all of them. serde's own derive stops at the first.

use super::fault::{Faults, step};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A place in the tree.
#[derive(Clone)]
pub(super) struct Node<'a> {
    pub value: &'a Value,
    pub pointer: String,
    pub faults: &'a RefCell<Faults>,
}

impl<'a> Node<'a> {
    /// Notes what is wrong here; gives nothing, for the caller to return.
    pub fn wrong<T>(&self, message: impl Into<String>) -> Option<T> {
        self.faults.borrow_mut().add(self.pointer.clone(), message);
        None
    }

    fn child(&self, name: &str, value: &'a Value) -> Self {
        Self { value, pointer: step(&self.pointer, name), faults: self.faults }
    }

    /// The text here.
    pub fn text(&self, wanted: &str) -> Option<&'a str> {
        match self.value.as_str() {
            Some(text) => Some(text),
            None => self.wrong(format!("must be {wanted}, not {}", kind(self.value))),
        }
    }

    /// The fields here.
    pub fn object(self) -> Option<Object<'a>> {
        match self.value.as_object() {
            Some(fields) => Some(Object { node: self, fields, known: Vec::new() }),
            None => {
                let found = kind(self.value);
                self.wrong(format!("must be an object {{...}}, not {found}"))
            }
        }
    }
}

/// What a value is, for messages.
pub(super) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// An object being read.
pub(super) struct Object<'a> {
    pub node: Node<'a>,
    fields: &'a Map<String, Value>,
    known: Vec<&'static str>,
}

impl<'a> Object<'a> {
    /// Reads field `name`; `None` if it is wrong (which is noted).
    pub fn field<T: Spec>(&mut self, name: &'static str) -> Option<T> {
        self.known.push(name);
        match self.fields.get(name) {
            Some(value) => T::read(self.node.child(name, value)),
            None => match T::absent() {
                Some(value) => Some(value),
                None => self.node.wrong(format!("\"{name}\" is missing")),
            },
        }
    }

    /// Notes the keys that nobody asked for.
    pub fn finish(self) {
        for name in self.fields.keys() {
            if self.known.contains(&name.as_str()) {
                continue;
            }
            let near = self.known.iter().min_by_key(|known| distance(known, name));
            let hint = near
                .filter(|known| distance(known, name) <= 2)
                .map(|known| format!("; did you mean \"{known}\"?"))
                .unwrap_or_default();
            let mut faults = self.node.faults.borrow_mut();
            faults.add(
                step(&self.node.pointer, name),
                format!("unknown key{hint} (known here: {})", self.known.join(", ")),
            );
        }
    }
}

/// Edit distance (Levenshtein 1965), for hints; long names count as far.
fn distance(a: &str, b: &str) -> usize {
    if a.len() > 40 || b.len() > 40 {
        return usize::MAX;
    }
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut corner = i;
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let cost = (corner + usize::from(x != *y)).min(row[j] + 1).min(row[j + 1] + 1);
            corner = std::mem::replace(&mut row[j + 1], cost);
        }
    }
    row[b.len()]
}

/// What can be read from a spec.
pub(super) trait Spec: Sized {
    /// Reads it; notes everything that is wrong and gives `None` then.
    fn read(node: Node<'_>) -> Option<Self>;

    /// What stands for a field that is not there; `None` where it must be.
    fn absent() -> Option<Self> {
        None
    }
}

impl<T: Spec> Spec for Option<T> {
    fn read(node: Node<'_>) -> Option<Self> {
        if node.value.is_null() { Some(None) } else { T::read(node).map(Some) }
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// Entries of one list or map of a spec: more than anybody writes, few enough to hold.
const MAX_ENTRIES: usize = 100_000;

impl<T: Spec> Spec for Vec<T> {
    fn read(node: Node<'_>) -> Option<Self> {
        let Some(list) = node.value.as_array() else {
            return node.wrong(format!("must be a list [...], not {}", kind(node.value)));
        };
        if list.len() > MAX_ENTRIES {
            return node.wrong(format!("has {} entries; at most {MAX_ENTRIES}", list.len()));
        }
        // All are read, so that all faults are found.
        let read: Vec<Option<T>> = list
            .iter()
            .enumerate()
            .map(|(i, value)| T::read(node.child(&i.to_string(), value)))
            .collect();
        read.into_iter().collect()
    }

    fn absent() -> Option<Self> {
        Some(Vec::new())
    }
}

impl<T: Spec> Spec for BTreeMap<String, T> {
    fn read(node: Node<'_>) -> Option<Self> {
        let Some(fields) = node.value.as_object() else {
            return node.wrong(format!("must be an object {{...}}, not {}", kind(node.value)));
        };
        if fields.len() > MAX_ENTRIES {
            return node.wrong(format!("has {} entries; at most {MAX_ENTRIES}", fields.len()));
        }
        let read: Vec<Option<(String, T)>> = fields
            .iter()
            .map(|(name, value)| Some((name.clone(), T::read(node.child(name, value))?)))
            .collect();
        read.into_iter().collect()
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl Spec for String {
    fn read(node: Node<'_>) -> Option<Self> {
        node.text("text").map(str::to_owned)
    }
}

impl Spec for bool {
    fn read(node: Node<'_>) -> Option<Self> {
        match node.value.as_bool() {
            Some(flag) => Some(flag),
            None => node.wrong(format!("must be true or false, not {}", kind(node.value))),
        }
    }
}

impl Spec for f64 {
    fn read(node: Node<'_>) -> Option<Self> {
        match node.value.as_f64().filter(|number| number.is_finite()) {
            Some(number) => Some(number),
            None => node.wrong(format!("must be a number, not {}", kind(node.value))),
        }
    }
}

impl Spec for u32 {
    fn read(node: Node<'_>) -> Option<Self> {
        // JSON5 readers and variables may give 3.0 for 3.
        let whole = node.value.as_u64().or_else(|| {
            let number = node.value.as_f64()?;
            (number.fract() == 0.0 && (0.0..4e9).contains(&number)).then_some(number as u64)
        });
        match whole.and_then(|number| u32::try_from(number).ok()) {
            Some(number) => Some(number),
            None => node.wrong("must be a whole number, 0 or more"),
        }
    }
}

impl Spec for Value {
    fn read(node: Node<'_>) -> Option<Self> {
        Some(node.value.clone())
    }
}

/// A field's name in specs: `type` for `r#type`.
pub(super) fn unraw(name: &'static str) -> &'static str {
    name.strip_prefix("r#").unwrap_or(name)
}

/// Declares a struct of the spec: its fields, the schema, and how it is read. Fields of type
/// `Option`, `Vec` and map may be left out, the others not.
macro_rules! spec_struct {
    ($(#[$meta:meta])* $name:ident { $($(#[$field_meta:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, schemars::JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $type,)*
        }

        impl $crate::timeline::reader::Spec for $name {
            fn read(node: $crate::timeline::reader::Node<'_>) -> Option<Self> {
                let mut object = node.object()?;
                $(let $field = object.field::<$type>($crate::timeline::reader::unraw(stringify!($field)));)*
                object.finish();
                Some(Self { $($field: $field?,)* })
            }
        }
    };
}

/// Declares a choice of words.
macro_rules! spec_words {
    ($(#[$meta:meta])* $name:ident { $($(#[$word_meta:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, schemars::JsonSchema)]
        pub enum $name {
            $($(#[$word_meta])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            /// Every one with its word.
            pub const ALL: &'static [(&'static str, Self)] = &[$(($word, Self::$variant),)*];

            /// Its word in specs.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl $crate::timeline::reader::Spec for $name {
            fn read(node: $crate::timeline::reader::Node<'_>) -> Option<Self> {
                let text = node.text("a word")?;
                match Self::ALL.iter().find(|(word, _)| *word == text) {
                    Some((_, value)) => Some(*value),
                    None => {
                        let words: Vec<_> = Self::ALL.iter().map(|(word, _)| *word).collect();
                        node.wrong(format!("must be one of {}", words.join(", ")))
                    }
                }
            }
        }
    };
}

pub(super) use {spec_struct, spec_words};
