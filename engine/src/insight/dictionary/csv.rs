//! Dictionaries in CSV (RFC 4180), as spreadsheets write them: a line of names, then a term a line.

use super::read::{Raw, build};
use super::{Dictionary, Matching, wrong};
use crate::error::Result;

/// The columns that there may be; the first two must.
const COLUMNS: [&str; 7] =
    ["term", "category", "weight", "language", "match", "variants", "inflections"];

impl Dictionary {
    /// Reads a dictionary in CSV, called `name`. Columns are `term`, `category`, and any of `weight`,
    /// `language`, `match`, `variants` and `inflections`; the last two hold forms separated by `;`.
    ///
    /// # Errors
    /// [`crate::error::ErrorKind::Input`] that names the line.
    pub fn from_csv(name: &str, text: &str) -> Result<Self> {
        let mut records = Records { text: text.trim_start_matches('\u{feff}'), at: 0, line: 1 };
        let Some((line, head)) = records.next_record()? else {
            return Err(wrong(1, "is empty: the first line names the columns"));
        };
        let head: Vec<String> = head.iter().map(|name| name.trim().to_lowercase()).collect();
        if let Some(unknown) = head.iter().find(|name| !COLUMNS.contains(&name.as_str())) {
            let what = format!("unknown column `{unknown}`; there may be {}", COLUMNS.join(", "));
            return Err(wrong(line, what));
        }
        for column in COLUMNS {
            let count = head.iter().filter(|name| *name == column).count();
            if count > 1 {
                return Err(wrong(line, format!("the column `{column}` is there twice")));
            }
            if count == 0 && (column == "term" || column == "category") {
                return Err(wrong(line, format!("the column `{column}` is missing")));
            }
        }
        let mut raws = Vec::new();
        while let Some((line, record)) = records.next_record()? {
            if record.iter().all(|field| field.trim().is_empty()) {
                continue;
            }
            if record.len() != head.len() {
                let what =
                    format!("{} fields where there are {} columns", record.len(), head.len());
                return Err(wrong(line, what));
            }
            let field = |name: &str| {
                let at = head.iter().position(|column| column == name)?;
                record.get(at).map(|field| field.trim()).filter(|field| !field.is_empty())
            };
            let list = |name: &str| -> Vec<String> {
                let forms = field(name).unwrap_or("").split(';').map(str::trim);
                forms.filter(|form| !form.is_empty()).map(str::to_owned).collect()
            };
            let weight = match field("weight") {
                None => 1.0,
                Some(text) => text
                    .parse()
                    .map_err(|_| wrong(line, format!("the weight `{text}` is no number")))?,
            };
            let matching = match field("match") {
                None | Some("stem") => Matching::Stem,
                Some("exact") => Matching::Exact,
                Some("case") => Matching::Case,
                Some(other) => {
                    return Err(wrong(
                        line,
                        format!("match is `{other}`, not stem, exact or case"),
                    ));
                }
            };
            raws.push(Raw {
                line,
                term: field("term").unwrap_or("").to_owned(),
                category: field("category").unwrap_or("").to_owned(),
                variants: list("variants"),
                inflections: list("inflections"),
                weight,
                language: field("language").map(str::to_owned),
                matching,
            });
        }
        build(name, raws)
    }
}

/// The records of a text, one after the other.
struct Records<'t> {
    text: &'t str,
    at: usize,
    line: usize,
}

impl Records<'_> {
    /// The next record and the line it begins on.
    fn next_record(&mut self) -> Result<Option<(usize, Vec<String>)>> {
        if self.at >= self.text.len() {
            return Ok(None);
        }
        let begun = self.line;
        let mut fields = vec![String::new()];
        let mut quoted = false;
        let mut letters = self.text[self.at..].char_indices().peekable();
        while let Some((at, letter)) = letters.next() {
            let Some(field) = fields.last_mut() else { break };
            self.line += usize::from(letter == '\n');
            match letter {
                '"' if quoted && letters.peek().is_some_and(|(_, next)| *next == '"') => {
                    letters.next();
                    field.push('"');
                }
                '"' if quoted => quoted = false,
                '"' if field.is_empty() => quoted = true,
                ',' if !quoted => fields.push(String::new()),
                '\n' if !quoted => {
                    if field.ends_with('\r') {
                        field.pop();
                    }
                    self.at += at + 1;
                    return Ok(Some((begun, fields)));
                }
                letter => field.push(letter),
            }
        }
        if quoted {
            return Err(wrong(begun, "a quote is not closed"));
        }
        self.at = self.text.len();
        Ok(Some((begun, fields)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_lists_and_blank_lines_are_understood() {
        let text = "\u{feff}Term,category,variants,weight\r\n\"stop, loss\",risk,\"a \"\"hard\"\" stop; sl\",2\r\n\r\nDAX,indices,,\n";
        let made = Dictionary::from_csv("mine", text).unwrap();
        assert_eq!(made.terms.len(), 2);
        assert_eq!(made.terms[0].term, "stop, loss");
        assert_eq!(made.terms[0].forms[1].text, "a \"hard\" stop");
        assert_eq!((made.terms[0].weight, made.terms[0].line), (2.0, 2));
        assert_eq!((made.terms[1].weight, made.terms[1].line), (1.0, 4));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let cases = [
            ("", 1, "empty"),
            ("term,weight\n", 1, "`category` is missing"),
            ("term,category,colour\n", 1, "colour"),
            ("term,category,term\n", 1, "twice"),
            ("term,category\na,b\nc\n", 3, "1 fields"),
            ("term,category\n\"a\nb\",c\nd,\n", 4, "no category"),
            ("term,category,weight\na,b,much\n", 2, "much"),
            ("term,category,weight\na,b,nan\n", 2, "NaN"),
            ("term,category,match\na,b,like\n", 2, "like"),
            ("term,category\n\n\"a,b\n", 3, "quote"),
            ("term,category\na,b\nA,b\n", 3, "line 2 already"),
            ("term,category\n", 1, "no terms"),
        ];
        for (text, line, what) in cases {
            let told = Dictionary::from_csv("mine", text).unwrap_err().to_string();
            assert!(
                told.contains(&format!("line {line}:")) && told.contains(what),
                "{told}\n{text}"
            );
        }
    }
}
