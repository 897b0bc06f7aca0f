//! The dictionaries that come with the engine, written for it.

use super::Dictionary;
use crate::error::Result;

/// Their names and files.
pub const BUNDLED: [(&str, &str); 2] = [
    ("trading", include_str!("../data/dictionaries/trading.toml")),
    ("advertising", include_str!("../data/dictionaries/advertising.toml")),
];

/// All of them.
///
/// # Errors
/// None: a test reads them.
pub fn bundled() -> Result<Vec<Dictionary>> {
    BUNDLED.iter().map(|(_, text)| Dictionary::from_toml(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn they_are_sound_and_as_large_as_they_are_said_to_be() {
        let all = bundled().unwrap();
        assert_eq!(
            all.iter().map(|d| d.name.as_str()).collect::<Vec<_>>(),
            ["trading", "advertising"]
        );
        assert!(all[0].terms.len() >= 200, "{}", all[0].terms.len());
        let categories: BTreeSet<&str> = all[0].terms.iter().map(|t| t.category.as_str()).collect();
        let wanted = [
            "chart-patterns",
            "indicators",
            "instruments",
            "order-types",
            "psychology",
            "risk",
            "timeframes",
        ];
        for category in wanted {
            assert!(categories.contains(category), "{category}");
        }
        assert!(all[1].terms.len() >= 40, "{}", all[1].terms.len());
    }
}
