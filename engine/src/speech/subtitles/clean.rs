//! Text of a transcript made safe for a caption: one line, and nothing that a terminal obeys.

use std::fmt::Write as _;

/// `text` on one line: runs of white space become one space, the ends are trimmed, and what
/// [`is_active`] names is spelled out as `\u{…}`, as [`crate::text::plain`] does it.
pub(super) fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut space = false;
    for c in text.chars() {
        // The separators U+2028 and U+2029 count as white space too.
        if c.is_whitespace() && c != '\u{a0}' && c != '\u{202f}' {
            space = !out.is_empty();
            continue;
        }
        if space {
            out.push(' ');
            space = false;
        }
        if is_active(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// Controls and what reorders or hides text. Unlike in [`crate::text::plain`], which is for names
/// and tags, the joiners and marks that Persian, Thai, Indic scripts and emoji are spelled with
/// (U+200B to U+200F, U+061C, U+2060) stay: they cannot reorder what stands beside them.
fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{2028}'..='\u{202e}' | '\u{2061}'..='\u{2069}' | '\u{feff}'
            | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// JSON text with the same characters written as `\uXXXX`: read back unchanged, inert until then.
/// JSON has none of them outside its strings.
pub(super) fn ascii_controls(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_active(c) && !c.is_ascii_control() || c == '\u{7f}' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// A language code fit for a header: letters, digits and hyphens only.
pub(super) fn language(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').take(35).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_are_spelled_out_and_joiners_stay() {
        assert_eq!(clean(" a\t\r\n b\u{1b}[31m\u{202e}c "), "a b\\u{1b}[31m\\u{202e}c");
        assert_eq!(clean("می\u{200c}خواهم 👩\u{200d}🚀"), "می\u{200c}خواهم 👩\u{200d}🚀");
        assert_eq!(clean("\n"), "");
    }

    #[test]
    fn json_stays_the_same_value() {
        let text = "a\u{9b}1m\u{202e}\u{7f}\u{e0041}é";
        let json = serde_json::to_string(text).unwrap();
        let safe = ascii_controls(&json);
        assert!(!safe.chars().any(is_active), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), text);
    }
}
