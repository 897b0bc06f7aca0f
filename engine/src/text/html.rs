//! Untrusted text, paths and pictures as parts of a page that needs nothing but itself.

use super::plain;
use std::fmt::Write;
use std::path::Path;

/// Text for HTML, in elements and in quoted attributes; what would change the direction of text or
/// is invisible is spelled out.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in plain(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

/// Bytes in base 64 (RFC 4648).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for part in bytes.chunks(3) {
        let word = part.iter().fold(0u32, |word, byte| (word << 8) | u32::from(*byte));
        let word = word << (8 * (3 - part.len()));
        for n in 0..4 {
            let digit = DIGITS[(word >> (18 - 6 * n)) as usize & 63];
            out.push(if n <= part.len() { char::from(digit) } else { '=' });
        }
    }
    out
}

/// A path as a `file:` URL (RFC 8089).
pub fn file_url(path: &Path) -> String {
    let mut url = String::from("file://");
    for byte in path.as_os_str().as_encoded_bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' | b'~' => {
                url.push(char::from(*byte));
            }
            byte => drop(write!(url, "%{byte:02X}")),
        }
    }
    url
}

/// The picture in a file (JPEG, PNG or WebP by its name) as a `data:` URI, if it takes at most
/// `left` bytes, which are taken off it.
pub fn picture(path: &Path, left: &mut u64) -> Option<String> {
    let kind = match path.extension()?.to_str()? {
        "jpg" => "jpeg",
        "png" => "png",
        "webp" => "webp",
        _ => return None,
    };
    let bytes = std::fs::metadata(path).ok()?.len();
    *left = left.checked_sub(bytes)?;
    Some(format!("data:image/{kind};base64,{}", base64(&std::fs::read(path).ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_cannot_leave_their_place() {
        assert_eq!(
            escape("</script><b a='1' c=\"2\">&\u{202e}\0"),
            "&lt;/script&gt;&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;\\u{202e}\\u{0}"
        );
        assert_eq!(
            file_url(Path::new("/a b/é\"'<#?.mp4")),
            "file:///a%20b/%C3%A9%22%27%3C%23%3F.mp4"
        );
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, wanted) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), wanted);
        }
    }
}
