//! Variables and variants. Values are put into the parsed tree, never into text, so that no value
//! can become syntax.

use super::fault::{Faults, step};
use super::reader::kind;
use super::spec::{Variable, VariableType};
use super::value::{Rate, Rgb, Size, Time};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// The key of a place that a variable fills.
const KEY: &str = "$var";

/// Variants that one spec may have.
const MAX_VARIANTS: usize = 10_000;

/// Values for variables, by name.
pub type Values = BTreeMap<String, Value>;

/// `text` as a person gives it for a variable of this type (`--var name=text`).
pub(super) fn from_text(kind: VariableType, text: &str) -> Value {
    match kind {
        VariableType::Number => text
            .parse::<i64>()
            .map(Value::from)
            .ok()
            .or_else(|| serde_json::Number::from_f64(text.parse().ok()?).map(Value::Number)),
        VariableType::Flag => text.parse::<bool>().ok().map(Value::Bool),
        _ => None,
    }
    .unwrap_or_else(|| Value::String(text.to_owned()))
}

/// Why `value` is not of type `wanted`.
fn mismatch(wanted: VariableType, value: &Value) -> Option<String> {
    let text = value.as_str();
    let (fits, form) = match wanted {
        VariableType::Text | VariableType::File => (text.is_some(), "text"),
        VariableType::Number => (value.is_number(), "a number"),
        VariableType::Flag => (value.is_boolean(), "true or false"),
        VariableType::Time => {
            (text.is_some_and(|t| Time::parse(t).is_some()), "a time like \"12.4s\"")
        }
        VariableType::Colour => {
            (text.is_some_and(|t| Rgb::parse(t).is_some()), "a colour like \"#ff8800\"")
        }
        VariableType::Size => {
            (text.is_some_and(|t| Size::parse(t).is_some()), "a size like \"1080x1920\"")
        }
        VariableType::Rate => {
            let number = value.as_number().map(ToString::to_string);
            let text = number.as_deref().or(text);
            (text.is_some_and(|t| Rate::parse(t).is_some()), "frames a second like \"30\"")
        }
    };
    (!fits).then(|| match text {
        Some(text) => format!("must be {form}, not \"{text}\""),
        None => format!("must be {form}, not {}", kind(value)),
    })
}

/// Checks what `variables` and `matrix` say of themselves.
pub(super) fn check(
    variables: &BTreeMap<String, Variable>,
    matrix: &BTreeMap<String, Vec<Value>>,
    faults: &mut Faults,
) {
    let check = |variable: &Variable, value: &Value, pointer: String, faults: &mut Faults| {
        if let Some(why) = mismatch(variable.r#type, value) {
            faults.add(pointer, why);
        } else if !variable.among.is_empty() && !variable.among.contains(value) {
            faults.add(pointer, "is not among the variable's values");
        }
    };
    for (name, variable) in variables {
        let at = step("/variables", name);
        if let Some(value) = &variable.default {
            check(variable, value, format!("{at}/default"), faults);
        }
        for (i, value) in variable.among.iter().enumerate() {
            if let Some(why) = mismatch(variable.r#type, value) {
                faults.add(format!("{at}/among/{i}"), why);
            }
        }
    }
    for (name, values) in matrix {
        let at = step("/matrix", name);
        let Some(variable) = variables.get(name) else {
            faults.add(at, "no variable has this name");
            continue;
        };
        if values.is_empty() {
            faults.add(at.clone(), "holds no value");
        }
        for (i, value) in values.iter().enumerate() {
            check(variable, value, format!("{at}/{i}"), faults);
        }
    }
}

/// The values in force: `set`, else the defaults.
pub(super) fn settle(
    variables: &BTreeMap<String, Variable>,
    set: &Values,
    faults: &mut Faults,
) -> Values {
    for (name, value) in set {
        match variables.get(name) {
            None => {
                let known: Vec<_> = variables.keys().map(String::as_str).collect();
                faults.add(
                    "/variables",
                    format!("there is no variable \"{name}\" to set (known: {})", known.join(", ")),
                );
            }
            Some(variable) => {
                if let Some(why) = mismatch(variable.r#type, value) {
                    faults.add(step("/variables", name), format!("the value set {why}"));
                } else if !variable.among.is_empty() && !variable.among.contains(value) {
                    faults.add(step("/variables", name), "the value set is not among its values");
                }
            }
        }
    }
    let mut values = Values::new();
    for (name, variable) in variables {
        match set.get(name).or(variable.default.as_ref()) {
            Some(value) => {
                values.insert(name.clone(), value.clone());
            }
            None => faults.add(step("/variables", name), "has no default and was not set"),
        }
    }
    values
}

/// `tree` with every `{"$var": name}` outside the declarations replaced by its value.
pub(super) fn substitute(tree: &Value, values: &Values, faults: &mut Faults) -> Value {
    let Some(fields) = tree.as_object() else { return tree.clone() };
    let fields = fields.iter().map(|(name, value)| {
        let value = match name.as_str() {
            "variables" | "matrix" => value.clone(),
            _ => replaced(value, values, &step("", name), faults),
        };
        (name.clone(), value)
    });
    Value::Object(fields.collect())
}

fn replaced(value: &Value, values: &Values, pointer: &str, faults: &mut Faults) -> Value {
    match value {
        Value::Object(fields) if fields.contains_key(KEY) => {
            let name = match (fields.len(), fields.get(KEY)) {
                (1, Some(Value::String(name))) => name,
                _ => {
                    faults.add(
                        pointer,
                        "a place for a variable is {\"$var\": \"name\"} and nothing else",
                    );
                    return Value::Null;
                }
            };
            match values.get(name) {
                Some(value) => value.clone(),
                None => {
                    faults.add(
                        pointer,
                        format!("there is no variable \"{name}\", or it has no value"),
                    );
                    Value::Null
                }
            }
        }
        Value::Object(fields) => {
            let fields: Map<_, _> = fields
                .iter()
                .map(|(name, v)| (name.clone(), replaced(v, values, &step(pointer, name), faults)))
                .collect();
            Value::Object(fields)
        }
        Value::Array(list) => Value::Array(
            list.iter()
                .enumerate()
                .map(|(i, v)| replaced(v, values, &format!("{pointer}/{i}"), faults))
                .collect(),
        ),
        other => other.clone(),
    }
}

/// One combination of the matrix's values.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// Told apart from the others by this, in file names: letters, digits and `-` only.
    pub name: String,
    /// Its values.
    pub values: Values,
}

/// Every combination, the last variable changing fastest; `fixed` values win over the matrix.
pub(super) fn variants(
    matrix: &BTreeMap<String, Vec<Value>>,
    fixed: &Values,
    faults: &mut Faults,
) -> Vec<Variant> {
    let mut all = vec![Variant { name: String::new(), values: fixed.clone() }];
    for (name, values) in matrix.iter().filter(|(name, _)| !fixed.contains_key(*name)) {
        if all.len().saturating_mul(values.len()) > MAX_VARIANTS {
            faults.add("/matrix", format!("gives more than {MAX_VARIANTS} variants"));
            return Vec::new();
        }
        all = all
            .iter()
            .flat_map(|variant| {
                values.iter().map(move |value| {
                    let mut made = variant.clone();
                    made.values.insert(name.clone(), value.clone());
                    let word = word(value);
                    made.name = [variant.name.as_str(), word.as_str()]
                        .into_iter()
                        .filter(|part| !part.is_empty())
                        .collect::<Vec<_>>()
                        .join("-");
                    made
                })
            })
            .collect();
    }
    // Values that differ only in what a file name cannot show get numbers.
    let mut seen = BTreeSet::new();
    for (i, variant) in all.iter_mut().enumerate() {
        if variant.name.is_empty() || !seen.insert(variant.name.clone()) {
            variant.name = format!("{}-{}", variant.name, i + 1).trim_start_matches('-').to_owned();
            seen.insert(variant.name.clone());
        }
    }
    all
}

fn word(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut word = String::new();
    for c in text.chars().take(32) {
        if c.is_alphanumeric() || c == '.' {
            word.push(c);
        } else if !word.ends_with('-') {
            word.push('-');
        }
    }
    word.trim_matches(['-', '.']).to_owned()
}
/// Where variables with such a name stand in a tree, as JSON pointers.
pub(super) fn places(tree: &Value, named: &dyn Fn(&str) -> bool) -> Vec<String> {
    fn walk(value: &Value, pointer: String, named: &dyn Fn(&str) -> bool, found: &mut Vec<String>) {
        match value {
            Value::Object(fields) => {
                if fields.get("$var").and_then(Value::as_str).is_some_and(named) {
                    found.push(pointer);
                    return;
                }
                for (name, value) in fields {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    walk(value, format!("{pointer}/{name}"), named, found);
                }
            }
            Value::Array(items) => {
                for (at, value) in items.iter().enumerate() {
                    walk(value, format!("{pointer}/{at}"), named, found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(tree, String::new(), named, &mut found);
    found
}
