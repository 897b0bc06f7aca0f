//! Numbers in a text, in digits and in English words.

use super::passage::Passage;
use crate::text::number_words::{ones, tens};
use std::ops::Range;

/// A number and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Numeral {
    /// Its value.
    pub value: f64,
    /// Where it stands in the passage's text, in bytes.
    pub at: Range<usize>,
}

/// The numbers of a passage, in order: `1,200.50`, `twenty five`, `one point five`, `two hundred and six`.
/// Single words that are seldom meant as numbers (`one`, `second`) are left out; what follows a number may
/// scale it (`million`, `k`).
pub fn numerals(passage: &Passage) -> Vec<Numeral> {
    let text = passage.text.as_str();
    let mut found = Vec::new();
    let mut n = 0;
    while n < passage.tokens.len() {
        if let Some((value, next)) = digits(passage, n).or_else(|| spelt(passage, n)) {
            let (value, next) = scaled(passage, value, next);
            let at = passage.tokens[n].at.start..passage.tokens[next - 1].at.end;
            let alone = next == n + 1 && matches!(&*passage.tokens[n].folded, "one" | "a");
            if !alone {
                let at = attached_scale(text, at);
                found.push(Numeral { value: value * at.1, at: at.0 });
            }
            n = next;
        } else {
            n += 1;
        }
    }
    found
}

/// `1,200.50`: tokens of digits joined by a comma before three digits, or by a point.
fn digits(passage: &Passage, from: usize) -> Option<(f64, usize)> {
    let token = &passage.tokens[from];
    let whole = token.folded.trim_end_matches(['k', 'm', 'b']);
    if whole.is_empty() || !whole.bytes().all(|b| b.is_ascii_digit()) || whole.len() > 15 {
        return None;
    }
    let mut written = whole.to_owned();
    let mut next = from + 1;
    let mut pointed = false;
    while let Some(more) = passage.tokens.get(next).filter(|_| whole.len() == token.folded.len()) {
        let between = passage.text.get(passage.tokens[next - 1].at.end..more.at.start)?;
        let figures = more.folded.trim_end_matches(['k', 'm', 'b']);
        let is_number = !figures.is_empty() && figures.bytes().all(|b| b.is_ascii_digit());
        match between {
            "," if is_number && figures.len() == 3 && !pointed => written.push_str(figures),
            "." if is_number && !pointed => {
                pointed = true;
                written.push('.');
                written.push_str(figures);
            }
            _ => break,
        }
        next += 1;
        if figures.len() != more.folded.len() {
            break;
        }
    }
    (written.len() <= 24).then(|| written.parse().ok()).flatten().map(|value| (value, next))
}

/// The factor of a letter behind the figures (`50k`).
fn attached_scale(text: &str, at: Range<usize>) -> (Range<usize>, f64) {
    let written = &text[at.clone()];
    let factor = match written.chars().last() {
        Some('k' | 'K') => 1e3,
        Some('m' | 'M') => 1e6,
        Some('b' | 'B') => 1e9,
        _ => return (at, 1.0),
    };
    let before = written[..written.len() - 1].chars().last();
    if before.is_some_and(|c| c.is_ascii_digit()) { (at, factor) } else { (at, 1.0) }
}

/// A number in words below a thousand, with `point` and digits behind it.
fn spelt(passage: &Passage, from: usize) -> Option<(f64, usize)> {
    // Words of one number stand next to each other, with a space or hyphen between.
    let word = |n: usize| -> Option<&str> {
        let token = passage.tokens.get(n)?;
        if n > from {
            let between = passage.text.get(passage.tokens[n - 1].at.end..token.at.start)?;
            if !between.chars().all(|c| c.is_whitespace() || c == '-') {
                return None;
            }
        }
        Some(&token.folded)
    };
    let mut at = from;
    let below_hundred = |at: &mut usize| -> Option<f64> {
        if let Some(value) = tens(word(*at)?) {
            *at += 1;
            let unit = word(*at).and_then(ones).filter(|unit| (1.0..10.0).contains(unit));
            *at += usize::from(unit.is_some());
            return Some(value + unit.unwrap_or(0.0));
        }
        let value = ones(word(*at)?)?;
        *at += 1;
        Some(value)
    };
    let mut value = match word(from) {
        Some("a") if word(from + 1) == Some("hundred") => {
            at += 1;
            1.0
        }
        _ => below_hundred(&mut at)?,
    };
    if word(at) == Some("hundred") {
        value *= 100.0;
        at += 1;
        let mut further = at + usize::from(word(at) == Some("and"));
        if let Some(rest) = below_hundred(&mut further) {
            value += rest;
            at = further;
        }
    }
    if word(at) == Some("point") {
        let mut digits = String::from("0.");
        let mut further = at + 1;
        while let Some(digit) = word(further).and_then(ones).filter(|d| *d < 10.0) {
            digits.push_str(&format!("{digit}"));
            further += 1;
        }
        if digits.len() > 2 {
            value += digits.parse::<f64>().unwrap_or(0.0);
            at = further;
        }
    }
    Some((value, at))
}

/// The number with the scales behind it: `two thousand five hundred`, `1.5 million`.
fn scaled(passage: &Passage, mut value: f64, mut next: usize) -> (f64, usize) {
    let scale = |n: usize| {
        let token = passage.tokens.get(n)?;
        let between = passage.text.get(passage.tokens[n - 1].at.end..token.at.start)?;
        if !between.chars().all(char::is_whitespace) {
            return None;
        }
        Some(match &*token.folded {
            "hundred" => 1e2,
            "thousand" => 1e3,
            "million" => 1e6,
            "billion" | "bn" => 1e9,
            "trillion" => 1e12,
            _ => return None,
        })
    };
    let mut total = 0.0;
    while let Some(factor) = scale(next) {
        total += value * factor;
        value = 0.0;
        next += 1;
        // The next group is smaller: "two thousand five hundred".
        match spelt(passage, next).filter(|_| factor >= 1e3) {
            Some((more, after))
                if passage.text[passage.tokens[next - 1].at.end..passage.tokens[next].at.start]
                    .trim()
                    .is_empty() =>
            {
                value = more;
                next = after;
            }
            _ => break,
        }
    }
    (total + value, next)
}

#[cfg(test)]
mod tests {
    use super::super::passage::untimed;
    use super::*;

    fn all(text: &str) -> Vec<(f64, String)> {
        let passage = untimed(text, "en", 1);
        numerals(&passage).into_iter().map(|n| (n.value, passage.text[n.at].to_owned())).collect()
    }

    #[test]
    fn figures_and_words_have_values() {
        let cases: [(&str, f64); 14] = [
            ("1,200.50", 1200.5),
            ("20", 20.0),
            ("twenty five", 25.0),
            ("twenty-five", 25.0),
            ("two hundred and six", 206.0),
            ("a hundred", 100.0),
            ("one point five", 1.5),
            ("two thousand five hundred", 2500.0),
            ("1.5 million", 1.5e6),
            ("three billion", 3e9),
            ("50k", 50e3),
            ("1.2m", 1.2e6),
            ("zero", 0.0),
            ("two hundred thousand", 2e5),
        ];
        for (text, value) in cases {
            assert_eq!(all(text), [(value, text.to_owned())], "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        assert!(all("the one thing, a second, point taken").is_empty());
        assert_eq!(all("two, three").len(), 2);
        assert_eq!(all("on 3.5. Then 4"), [(3.5, "3.5".into()), (4.0, "4".into())]);
        assert_eq!(all("v2 h264").len(), 0);
        assert_eq!(all(&"9".repeat(40)).len(), 0);
    }
}
