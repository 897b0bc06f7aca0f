//! English words that count, for whoever reads numbers out of what was said.

const ONES: [&str; 20] = [
    "zero",
    "one",
    "two",
    "three",
    "four",
    "five",
    "six",
    "seven",
    "eight",
    "nine",
    "ten",
    "eleven",
    "twelve",
    "thirteen",
    "fourteen",
    "fifteen",
    "sixteen",
    "seventeen",
    "eighteen",
    "nineteen",
];
const TENS: [&str; 8] =
    ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];

/// `zero` to `nineteen`, in lower case.
pub fn ones(word: &str) -> Option<f64> {
    ONES.iter().position(|known| *known == word).map(|n| n as f64)
}

/// `twenty`, `thirty` to `ninety`, in lower case.
pub fn tens(word: &str) -> Option<f64> {
    TENS.iter().position(|known| *known == word).map(|n| (n as f64 + 2.0) * 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_count() {
        assert_eq!((ones("zero"), ones("nineteen"), ones("twenty")), (Some(0.0), Some(19.0), None));
        assert_eq!((tens("twenty"), tens("ninety"), tens("ten")), (Some(20.0), Some(90.0), None));
    }
}
