//! Sizes as people write them.

/// Bytes of `text`: a number with k, M, G or T behind it (powers of 1024) and perhaps `iB` or `B`,
/// such as `24G`, `512MiB`, `1.5G`. `None` if it is no such size, or passes 2^63.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.trim() {
        "" | "B" => 0,
        "k" | "K" | "kB" | "KB" | "KiB" | "kiB" => 10,
        "M" | "MB" | "MiB" => 20,
        "G" | "GB" | "GiB" => 30,
        "T" | "TB" | "TiB" => 40,
        _ => return None,
    };
    if let Ok(whole) = digits.parse::<u64>() {
        return whole.checked_mul(1 << shift).filter(|bytes| *bytes <= i64::MAX as u64);
    }
    let bytes = digits.parse::<f64>().ok()? * (1u64 << shift) as f64;
    (bytes.is_finite() && bytes < i64::MAX as f64).then_some(bytes as u64)
}

/// `bytes` with three or four digits and a unit of 1024: `23.6 GiB`.
pub fn show_bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let mut size = bytes as f64;
    let mut unit = 0;
    while size >= 1023.95 && unit + 1 < UNITS.len() {
        size /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{bytes} B") } else { format!("{size:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_shown() {
        assert_eq!(parse_bytes("24G"), Some(24 << 30));
        assert_eq!(parse_bytes(" 512 MiB "), Some(512 << 20));
        assert_eq!(parse_bytes("1.5k"), Some(1536));
        assert_eq!(parse_bytes("7"), Some(7));
        for wrong in ["", "G", "-1", "1X", "1e9G", "99999999T", "..", "inf"] {
            assert_eq!(parse_bytes(wrong), None, "{wrong}");
        }
        assert_eq!(show_bytes(1000), "1000 B");
        assert_eq!(show_bytes((1 << 30) - 1), "1.0 GiB");
        assert_eq!(show_bytes(25_300_000_000), "23.6 GiB");
    }
}
