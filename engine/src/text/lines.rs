//! Lines of a text by places in it.

/// Tells in which line of a text a record stands, for records that are asked for in order.
///
/// A reader of CSV tells where a record begins by the byte, but before it has passed over the ends of
/// lines there: after `\r\n` and after empty lines its own count is behind.
#[derive(Debug)]
pub struct Lines<'t> {
    text: &'t [u8],
    at: usize,
    line: u64,
}

impl<'t> Lines<'t> {
    /// For the records of `text`.
    pub fn of(text: &'t str) -> Self {
        Self { text: text.as_bytes(), at: 0, line: 1 }
    }

    /// The line, from 1, of the record that begins at `byte` or behind ends of lines there.
    pub fn at(&mut self, byte: u64) -> u64 {
        let byte = usize::try_from(byte).unwrap_or(usize::MAX).min(self.text.len());
        let ends = self.text[byte..].iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
        let start = (byte + ends).max(self.at);
        self.line += self.text[self.at..start].iter().filter(|b| **b == b'\n').count() as u64;
        self.at = start;
        self.line
    }
}

#[cfg(test)]
mod tests {
    use super::Lines;

    #[test]
    fn ends_of_lines_before_a_record_count() {
        let text = "a\r\n\r\nb\nc";
        let mut lines = Lines::of(text);
        assert_eq!([0, 2, 6, 7, 99].map(|byte| lines.at(byte)), [1, 3, 4, 4, 4]);
    }
}
