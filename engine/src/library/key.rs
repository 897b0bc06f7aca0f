//! What decides a stage's result, and the key that stands for it.

use super::content::ContentId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;

/// BLAKE3 over everything that decides a stage's result: see [`KeyParts`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct StageKey(pub(super) [u8; 32]);

impl fmt::Display for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from(self.0).to_hex())
    }
}

impl fmt::Debug for StageKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StageKey({self})")
    }
}

/// The parts of a stage's key. They are kept beside the result, so that it can be told later which
/// of them has changed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyParts {
    /// The stage's name.
    pub stage: String,
    /// Its version, raised when the same settings give other results.
    pub version: u32,
    /// BLAKE3 of the input, in hexadecimal.
    pub content: String,
    /// Its settings.
    pub parameters: Value,
    /// The models it runs: name and digest by role.
    pub models: BTreeMap<String, String>,
    /// The keys of the results that it reads, by stage.
    pub inputs: BTreeMap<String, String>,
}

impl KeyParts {
    /// The parts of `stage` on `content` alone; the rest is filled in by the caller.
    pub fn new(stage: &str, version: u32, content: &ContentId, parameters: Value) -> Self {
        Self {
            stage: stage.to_owned(),
            version,
            content: content.to_string(),
            parameters,
            models: BTreeMap::new(),
            inputs: BTreeMap::new(),
        }
    }

    /// The key of these parts.
    pub fn key(&self) -> StageKey {
        let mut digest = blake3::Hasher::new();
        let mut part = |text: &str| {
            digest.update(&(text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
        };
        part(&self.stage);
        part(&self.version.to_string());
        part(&canonical(&self.parameters).to_string());
        for list in [&self.models, &self.inputs] {
            part(&list.len().to_string());
            for (name, value) in list {
                part(name);
                part(value);
            }
        }
        part(&self.content);
        StageKey(*digest.finalize().as_bytes())
    }

    /// In what these parts differ from those of an earlier result, for people.
    pub fn changes_since(&self, old: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.version != old.version {
            changes.push(format!("version: {} -> {}", old.version, self.version));
        }
        if self.content != old.content {
            changes.push("content: the file has changed".to_owned());
        }
        compare("parameter", &old.parameters, &self.parameters, &mut String::new(), &mut changes);
        for (what, old, new) in
            [("model", &old.models, &self.models), ("input", &old.inputs, &self.inputs)]
        {
            let names: std::collections::BTreeSet<_> = old.keys().chain(new.keys()).collect();
            for name in names {
                let short = |list: &BTreeMap<String, String>| match list.get(name) {
                    None => "none".to_owned(),
                    // Keys are told apart by their first digits.
                    Some(key) if what == "input" => key.chars().take(8).collect(),
                    Some(model) => brief(model),
                };
                if old.get(name) != new.get(name) {
                    changes.push(format!("{what} {name}: {} -> {}", short(old), short(new)));
                }
            }
        }
        changes
    }
}

fn brief(text: &str) -> String {
    let cut: String = text.chars().take(40).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

/// The same value with the fields of every object in order of name, whatever map `serde_json` was
/// built with.
fn canonical(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let sorted: BTreeMap<&String, &Value> = fields.iter().collect();
            Value::Object(sorted.into_iter().map(|(k, v)| (k.clone(), canonical(v))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(canonical).collect()),
        other => other.clone(),
    }
}

/// Lists the leaves in which two values differ, by their path.
fn compare(what: &str, old: &Value, new: &Value, path: &mut String, changes: &mut Vec<String>) {
    match (old, new) {
        (Value::Object(a), Value::Object(b)) => {
            let names: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
            for name in names {
                let length = path.len();
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
                let missing = &Value::Null;
                let (a, b) = (a.get(name).unwrap_or(missing), b.get(name).unwrap_or(missing));
                compare(what, a, b, path, changes);
                path.truncate(length);
            }
        }
        (a, b) if a == b => {}
        (a, b) => {
            let place = if path.is_empty() { String::new() } else { format!(" {path}") };
            let (a, b) = (brief(&a.to_string()), brief(&b.to_string()));
            changes.push(format!("{what}{place}: {a} -> {b}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parts() -> KeyParts {
        KeyParts {
            stage: "frames".into(),
            version: 1,
            content: "aa".into(),
            parameters: json!({"every": "5s", "size": {"width": 640}}),
            models: BTreeMap::from([("vad".into(), "x".into())]),
            inputs: BTreeMap::from([("shots".into(), "y".into())]),
        }
    }

    #[test]
    fn every_part_changes_the_key_and_is_told() {
        let old = parts();
        assert_eq!(old.key(), parts().key());
        assert!(old.changes_since(&parts()).is_empty());
        let change = |edit: fn(&mut KeyParts)| {
            let mut new = parts();
            edit(&mut new);
            assert_ne!(new.key(), old.key());
            new.changes_since(&old).join("; ")
        };
        assert_eq!(change(|p| p.version = 2), "version: 1 -> 2");
        assert_eq!(change(|p| p.content = "bb".into()), "content: the file has changed");
        assert_eq!(
            change(|p| p.parameters["size"]["width"] = json!(320)),
            "parameter size.width: 640 -> 320"
        );
        assert_eq!(change(|p| p.parameters["x"] = json!(true)), "parameter x: null -> true");
        assert_eq!(
            change(|p| {
                p.models.insert("vad".into(), "z".into());
            }),
            "model vad: x -> z"
        );
        assert_eq!(change(|p| p.inputs.clear()), "input shots: y -> none");
        // Nothing can slide from one part into the next.
        let slid =
            |a: &str, b: &str| KeyParts { models: [(a.into(), b.into())].into(), ..parts() }.key();
        assert_ne!(slid("va", "dx"), slid("vad", "x"));
    }

    #[test]
    fn the_order_of_fields_is_no_part_of_the_key() {
        let with = |text: &str| {
            KeyParts { parameters: serde_json::from_str(text).unwrap(), ..parts() }.key()
        };
        assert_eq!(with(r#"{"a":1,"b":[{"c":2,"d":3}]}"#), with(r#"{"b":[{"d":3,"c":2}],"a":1}"#));
    }
}
