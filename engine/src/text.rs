//! Untrusted text made safe to show: what a terminal could interpret is spelled out instead.

pub mod html;
pub mod lines;
pub mod number_words;

use std::borrow::Cow;

/// Replaces control characters (escapes, newlines) and invisible or direction-changing Unicode
/// controls by their `\u{…}` spelling, so that a file's metadata or name cannot move a terminal's
/// cursor, recolour it or reorder what a reader sees (CVE-2021-42574).
pub fn plain(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_active) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_active(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{061c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn escapes_and_bidi_are_spelled_out() {
        assert_eq!(plain("a\u{1b}]0;x\u{7}b"), "a\\u{1b}]0;x\\u{7}b");
        assert_eq!(plain("gpj\u{202e}.exe"), "gpj\\u{202e}.exe");
        assert_eq!(plain("line\nbreak\u{9b}1m"), "line\\u{a}break\\u{9b}1m");
        assert!(matches!(plain("Füße 日本"), std::borrow::Cow::Borrowed(_)));
    }
}
