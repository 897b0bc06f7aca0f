//! Text to a tree: JSON or JSON5, of bounded size and depth, and no key twice.

use super::fault::Faults;
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};
use std::fmt;

/// Bytes of a spec: a feature film's edit has about one.
const MAX_BYTES: usize = 64 << 20;
/// Objects and lists within each other.
const MAX_DEPTH: usize = 64;

pub(super) fn parse(text: &str) -> Result<Value, Faults> {
    let failed = |message: String| {
        let mut faults = Faults::default();
        faults.add("", message);
        Err(faults)
    };
    if text.len() > MAX_BYTES {
        return failed(format!("is larger than {} MiB", MAX_BYTES >> 20));
    }
    // JSON first: its parser is quicker and its numbers are exact.
    let mut strict = serde_json::Deserializer::from_str(text);
    if let Ok(value) = Depth(MAX_DEPTH).deserialize(&mut strict)
        && strict.end().is_ok()
    {
        return Ok(value);
    }
    if let Some(line) = too_deep(text) {
        return failed(format!("is nested more than {MAX_DEPTH} deep at line {line}"));
    }
    let mut lenient = json5::Deserializer::from_str(text);
    match Depth(MAX_DEPTH).deserialize(&mut lenient) {
        Ok(value) if is_at_end(text, &value) => Ok(value),
        Ok(_) => failed("has something behind its end".into()),
        Err(error) => failed(format!("is not JSON or JSON5: {error}")),
    }
}

/// Whether nothing but the value is in `text`: the reader's own check, which it makes only when
/// it is asked for a type of its own.
fn is_at_end(text: &str, _: &Value) -> bool {
    json5::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// The line on which brackets lie deeper than allowed, strings and comments left out.
fn too_deep(text: &str) -> Option<usize> {
    let (mut depth, mut line) = (0_usize, 1);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            '"' | '\'' => {
                while let Some(inner) = chars.next() {
                    match inner {
                        '\\' => {
                            chars.next();
                        }
                        '\n' => line += 1,
                        _ if inner == c => break,
                        _ => {}
                    }
                }
            }
            '/' if chars.peek() == Some(&'/') => {
                while chars.peek().is_some_and(|c| *c != '\n') {
                    chars.next();
                }
            }
            '/' if chars.peek() == Some(&'*') => {
                chars.next();
                let mut last = ' ';
                for inner in chars.by_ref() {
                    line += usize::from(inner == '\n');
                    if last == '*' && inner == '/' {
                        break;
                    }
                    last = inner;
                }
            }
            _ => {}
        }
        if depth > MAX_DEPTH {
            return Some(line);
        }
    }
    None
}

/// Builds a tree, at most this deep.
struct Depth(usize);

impl<'de> DeserializeSeed<'de> for Depth {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Depth {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        // JSON5 has NaN and Infinity; nothing in a spec may be one.
        Number::from_f64(value).map(Value::Number).ok_or_else(|| E::custom("not a finite number"))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let Some(left) = self.0.checked_sub(1) else { return Err(A::Error::custom("too deep")) };
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(Depth(left))? {
            list.push(value);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let Some(left) = self.0.checked_sub(1) else { return Err(A::Error::custom("too deep")) };
        let mut fields = Map::new();
        while let Some(name) = map.next_key::<String>()? {
            let value = map.next_value_seed(Depth(left))?;
            if fields.contains_key(&name) {
                return Err(A::Error::custom(format!("the key \"{name}\" is there twice")));
            }
            fields.insert(name, value);
        }
        Ok(Value::Object(fields))
    }
}

/// The same tree without fields that are null.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (name, without_nulls(value)))
                .collect(),
        ),
        Value::Array(list) => Value::Array(list.into_iter().map(without_nulls).collect()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn json_and_json5() {
        assert_eq!(parse("{\"a\": [1, 2.5, null]}").unwrap(), json!({ "a": [1, 2.5, null] }));
        let text = "{ /* c */ a: 'it\\'s', b: [+1, .5, 0x10,], // end\n }";
        assert_eq!(parse(text).unwrap(), json!({ "a": "it's", "b": [1, 0.5, 16] }));
    }

    #[test]
    fn what_is_refused() {
        for text in ["", "{", "{} {}", "{a: NaN}", "{\"a\": 1, \"a\": 2}", "{a: 1, a: 2}"] {
            assert!(parse(text).is_err(), "{text}");
        }
        for open in ["[", "{a:", "{\"a\":"] {
            assert!(parse(&open.repeat(200_000)).unwrap_err().to_string().contains("deep"));
        }
        // brackets in text and comments are no depth
        let text = format!("{{ a: \"{0}\", /* {0} */ b: '{0}' // {0}\n}}", "[".repeat(500));
        assert!(parse(&text).is_ok());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[\\[\\]{}:,'\"a1.\\\\/*\n -]{0,60}") {
            let _ = parse(&text);
        }
    }
}
