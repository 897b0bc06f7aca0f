//! The moment at which something was said.

use crate::time::{Span, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a rule's part comes from: the film, the stretch of it, the words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Moment {
    /// The film's name.
    pub film: String,
    /// BLAKE3 of the film's bytes, in hexadecimal, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub content: Option<String>,
    /// The stretch, exactly.
    #[serde(with = "exact_span")]
    #[schemars(with = "exact_span::SpanJson")]
    pub span: Span,
    /// What was said there, as it was heard.
    pub text: String,
    /// The pattern that found it.
    pub pattern: String,
    /// How sure the recogniser and the pattern are together, 0 to 1.
    pub confidence: f64,
}

/// A span as `{"start": "NUM/DEN", "end": "NUM/DEN"}` or any other way of writing a time.
mod exact_span {
    use super::{Span, Timestamp};
    use schemars::JsonSchema;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    #[schemars(rename = "MomentSpan")]
    pub struct SpanJson {
        /// Its beginning: a time such as `12.4s`, or an exact fraction of a second.
        start: String,
        /// Its end, not before the beginning.
        end: String,
    }

    /// Whole milliseconds as decimal seconds, which people can read; what is finer as a fraction.
    fn written(time: Timestamp) -> String {
        let millis = Timestamp::from_millis(time.as_millis());
        if millis == time && !time.is_negative() {
            return format!("{}.{:03}s", time.as_millis() / 1000, time.as_millis() % 1000);
        }
        let exact = serde_json::to_value(time).unwrap_or_default();
        exact["exact"].as_str().unwrap_or("0/1").to_owned()
    }

    pub fn serialize<S: Serializer>(span: &Span, to: S) -> Result<S::Ok, S::Error> {
        SpanJson { start: written(span.start), end: written(span.end) }.serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Span, D::Error> {
        let SpanJson { start, end } = SpanJson::deserialize(from)?;
        let time = |text: &str| {
            text.parse::<Timestamp>().map_err(|e| D::Error::custom(format!("{text:?} is {e}")))
        };
        Span::new(time(&start)?, time(&end)?)
            .ok_or_else(|| D::Error::custom("the end lies before the beginning"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::TimeBase;

    #[test]
    fn a_span_survives_json_exactly() {
        let base = TimeBase::new(1, 16000).unwrap();
        let span = Span::new(Timestamp::new(8001, base), Timestamp::from_millis(62_500)).unwrap();
        let moment = Moment {
            film: "a.mp4".into(),
            content: None,
            span,
            text: "x".into(),
            pattern: "p".into(),
            confidence: 0.5,
        };
        let text = serde_json::to_string(&moment).unwrap();
        assert!(text.contains(r#""start":"8001/16000","end":"62.500s""#), "{text}");
        assert_eq!(serde_json::from_str::<Moment>(&text).unwrap(), moment);
        let bad = text.replace("62.500s", "0.1s");
        assert!(serde_json::from_str::<Moment>(&bad).is_err());
    }
}
