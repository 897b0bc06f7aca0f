//! How wide text is, where a line may end, and which ends are best.

use crate::time::Timestamp;
use icu_segmenter::options::LineBreakOptions;
use icu_segmenter::{GraphemeClusterSegmenter, LineSegmenter};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

/// What makes captions readable. Characters are counted in columns: East Asian wide ones are two.
///
/// The defaults follow Netflix's Timed Text Style Guide for English: 42 characters, 2 lines, 5/6 s
/// to 7 s, two frames (at 24 a second) between captions, and 17 characters a second, its figure
/// for children's programmes (it allows 20 for adults). The BBC's Subtitle Guidelines ask for 160
/// to 180 words a minute, which is 15 to 17 characters a second too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineRules {
    /// Columns of a line. At least 1 is taken.
    pub max_chars_per_line: u32,
    /// Lines of a caption. At least 1 is taken.
    pub max_lines: u32,
    /// Reading speed: columns per second.
    pub max_chars_per_second: u32,
    /// Time between two captions.
    pub min_gap: Timestamp,
    /// How long a caption is shown at least, if the next leaves room.
    pub min_duration: Timestamp,
    /// How long a caption is shown at most. A word is not cut off for it.
    pub max_duration: Timestamp,
}

impl Default for LineRules {
    fn default() -> Self {
        Self {
            max_chars_per_line: 42,
            max_lines: 2,
            max_chars_per_second: 17,
            min_gap: Timestamp::from_millis(84),
            min_duration: Timestamp::from_millis(833),
            max_duration: Timestamp::from_secs(7),
        }
    }
}

impl LineRules {
    /// The defaults for a language: Netflix's guides allow 16 wide characters a line and 9 a second
    /// in Chinese, 13 and 4 in Japanese, 16 and 12 in Korean; 42 columns and 17 a second elsewhere.
    pub fn for_language(language: &str) -> Self {
        let (line, second) = match language.split('-').next().unwrap_or("") {
            "zh" | "yue" | "zho" | "cmn" => (32, 18),
            "ja" | "jpn" => (26, 8),
            "ko" | "kor" => (32, 24),
            _ => return Self::default(),
        };
        Self { max_chars_per_line: line, max_chars_per_second: second, ..Self::default() }
    }

    /// These rules with what `asked` asks for.
    #[must_use]
    pub fn with(self, asked: &LineWishes) -> Self {
        Self {
            max_chars_per_line: asked.max_chars_per_line.unwrap_or(self.max_chars_per_line),
            max_lines: asked.max_lines.unwrap_or(self.max_lines),
            max_chars_per_second: asked.max_chars_per_second.unwrap_or(self.max_chars_per_second),
            min_gap: asked.min_gap.unwrap_or(self.min_gap),
            ..self
        }
    }

    pub(super) fn columns(&self) -> usize {
        self.max_chars_per_line.max(1) as usize
    }

    pub(super) fn lines(&self) -> usize {
        self.max_lines.max(1) as usize
    }
}

/// What somebody wants of captions in place of the rules for their language, each as in
/// [`LineRules`]; what is left open stays as it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LineWishes {
    /// Columns of a line.
    pub max_chars_per_line: Option<u32>,
    /// Lines of a caption.
    pub max_lines: Option<u32>,
    /// Columns per second.
    pub max_chars_per_second: Option<u32>,
    /// Time between two captions.
    pub min_gap: Option<Timestamp>,
}

/// The columns that `text` takes: no grapheme cluster takes more than two.
pub(super) fn width(text: &str) -> usize {
    let mut start = 0;
    let ends = GraphemeClusterSegmenter::new().segment_str(text).skip(1);
    ends.map(|end| text[std::mem::replace(&mut start, end)..end].width().min(2)).sum()
}

/// The byte offsets at which a line may begin (UAX #14; Thai, Lao, Khmer and Burmese by ICU's
/// models of their words).
pub(super) fn opportunities(text: &str) -> Vec<usize> {
    LineSegmenter::new_lstm(LineBreakOptions::default()).segment_str(text).skip(1).collect()
}

/// A piece of text that stays together: a word with its times, or what lies between two
/// opportunities.
#[derive(Clone, Debug)]
pub(super) struct Atom {
    pub text: String,
    pub width: usize,
    /// Whether a space stands before it.
    pub spaced: bool,
    /// Whether a line may begin with it.
    pub may_break: bool,
    pub start: Timestamp,
    pub end: Timestamp,
}

/// What the text up to a place ends with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Sentence,
    Clause,
    Nothing,
}

pub(super) fn ending(text: &str) -> Ending {
    let closing = ['"', '\'', ')', ']', '»', '”', '’', '」', '』', '）', '】'];
    match text.trim_end_matches(closing).chars().last() {
        Some('.' | '!' | '?' | '…' | '。' | '！' | '？' | '．' | '｡' | '؟' | '۔' | '।' | '॥') => {
            Ending::Sentence
        }
        Some(',' | ';' | ':' | '、' | '，' | '；' | '：' | '،' | '؛' | '—' | '–') => {
            Ending::Clause
        }
        _ => Ending::Nothing,
    }
}

/// Puts atoms on lines, each as full as it can be: the least number of lines.
pub(super) struct Fill {
    columns: usize,
    pub lines: usize,
    line: usize,
    /// Columns since the last place in this line at which it may break, if there is one.
    tail: Option<usize>,
}

impl Fill {
    pub(super) fn new(columns: usize) -> Self {
        Self { columns, lines: 0, line: 0, tail: None }
    }

    pub(super) fn push(&mut self, atom: &Atom) {
        let more = atom.width + usize::from(atom.spaced);
        if self.lines == 0 {
            self.lines = 1;
            self.line = atom.width;
        } else if self.line + more <= self.columns {
            self.line += more;
            self.tail = if atom.may_break { Some(atom.width) } else { self.tail.map(|t| t + more) };
        } else if let Some(tail) = self.tail.filter(|t| !atom.may_break && t + more <= self.columns)
        {
            self.lines += 1;
            self.line = tail + more;
            self.tail = None;
        } else {
            self.lines += 1;
            self.line = atom.width;
            self.tail = None;
        }
    }
}

/// The first atoms of the second and later lines, for the least number of lines that hold `atoms`.
pub(super) fn break_lines(atoms: &[Atom], columns: usize, max_lines: usize) -> Vec<usize> {
    // ends[k] is the columns of atoms[..k] on one line.
    let mut ends = vec![0];
    for (k, atom) in atoms.iter().enumerate() {
        let space = usize::from(atom.spaced && k > 0);
        ends.push(ends[k] + space + atom.width);
    }
    let columns_of = |from: usize, to: usize| {
        let space = usize::from(from > 0 && atoms[from].spaced);
        ends[to] - ends[from] - space
    };
    let total = columns_of(0, atoms.len());
    if total <= columns {
        return Vec::new();
    }
    let mut best = Vec::new();
    for lines in 2..=max_lines.min(atoms.len()) {
        let ideal = total / lines;
        // cost[k]: the best way to put atoms[..k] on the lines so far, and where the last begins.
        let mut table: Vec<Vec<(u64, usize)>> = Vec::new();
        for line in 0..lines {
            let mut row = vec![(u64::MAX, 0); atoms.len() + 1];
            for to in line + 1..=atoms.len() {
                let from = if line == 0 { 0..1 } else { line..to };
                for from in from {
                    let before = if line == 0 { 0 } else { table[line - 1][from].0 };
                    if before == u64::MAX {
                        continue;
                    }
                    let here = columns_of(from, to);
                    let mut cost = before + (here.abs_diff(ideal) as u64).pow(2);
                    cost += here.saturating_sub(columns) as u64 * 1_000_000;
                    if to < atoms.len() {
                        cost += match ending(&atoms[to - 1].text) {
                            _ if !atoms[to].may_break => 10_000,
                            Ending::Sentence => 0,
                            Ending::Clause => 20,
                            Ending::Nothing => 100,
                        };
                    } else if line > 0 && here < ideal {
                        // A longer last line reads better than a longer first one.
                        cost += 20;
                    }
                    if cost < row[to].0 {
                        row[to] = (cost, from);
                    }
                }
            }
            table.push(row);
        }
        best.clear();
        let mut to = atoms.len();
        let mut fits = true;
        for row in table.iter().rev() {
            let from = row[to].1;
            fits &= columns_of(from, to) <= columns;
            best.push(from);
            to = from;
        }
        best.pop();
        best.reverse();
        if fits {
            break;
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        for (text, columns) in [
            ("", 0),
            ("abc", 3),
            ("日本", 4),
            ("e\u{301}", 1),
            ("👩\u{200d}👩\u{200d}👧", 2),
            ("🇩🇪", 2),
            ("สวัสดี", 4),
            ("한글", 4),
            ("\u{1112}\u{1161}\u{11ab}", 2),
        ] {
            assert_eq!(width(text), columns, "{text}");
        }
    }

    #[test]
    fn wishes_replace_only_what_they_name() {
        let wishes = LineWishes { max_lines: Some(1), ..LineWishes::default() };
        let japanese = LineRules::for_language("ja");
        assert_eq!(japanese.with(&wishes), LineRules { max_lines: 1, ..japanese });
        assert_eq!(japanese.with(&LineWishes::default()), japanese);
    }

    #[test]
    fn lines_may_begin_where_the_language_allows() {
        let pieces = |text: &'static str| {
            let mut start = 0;
            let cut = |end| &text[std::mem::replace(&mut start, end)..end];
            opportunities(text).into_iter().map(cut).collect::<Vec<_>>()
        };
        assert_eq!(pieces("one two-three"), ["one ", "two-", "three"]);
        // No line begins with a full stop or a small kana.
        assert_eq!(pieces("日本です。"), ["日", "本", "で", "す。"]);
        assert_eq!(pieces("きょう"), ["きょ", "う"]);
        // Thai has no spaces; its words stay whole.
        assert_eq!(pieces("ภาษาไทยง่าย"), ["ภาษา", "ไทย", "ง่าย"]);
    }

    fn atoms(text: &str) -> Vec<Atom> {
        let atom = |word: &str| Atom {
            text: word.into(),
            width: width(word),
            spaced: true,
            may_break: true,
            start: Timestamp::ZERO,
            end: Timestamp::ZERO,
        };
        text.split(' ').map(atom).collect()
    }

    fn broken(text: &str, columns: usize, lines: usize) -> String {
        let atoms = atoms(text);
        let breaks = break_lines(&atoms, columns, lines);
        let mut out = String::new();
        for (k, atom) in atoms.iter().enumerate() {
            out.push_str(if breaks.contains(&k) {
                "/"
            } else if k > 0 {
                " "
            } else {
                ""
            });
            out.push_str(&atom.text);
        }
        out
    }

    #[test]
    fn lines_break_at_clauses_and_evenly() {
        assert_eq!(broken("short enough", 42, 2), "short enough");
        assert_eq!(
            broken("If it rains tomorrow, we shall stay at home all day", 42, 2),
            "If it rains tomorrow,/we shall stay at home all day"
        );
        assert_eq!(broken("aaaa bbbb cccc dddd", 10, 2), "aaaa bbbb/cccc dddd");
        assert_eq!(broken("aaaa bbbb cccc dddd eeee", 10, 3), "aaaa/bbbb cccc/dddd eeee");
        // What does not fit stays whole and is too wide.
        assert_eq!(broken("aaaaaaaaaaaa b", 10, 2), "aaaaaaaaaaaa/b");
        assert_eq!(broken("aaaaaaaaaaaa", 10, 2), "aaaaaaaaaaaa");
    }
}
