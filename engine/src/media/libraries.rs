//! Which FFmpeg this program runs with.

use ffmpeg_next as ff;

/// What the loaded FFmpeg is and can do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Libraries {
    /// libavcodec's version: 59 belongs to FFmpeg 5, 60 to 6, 61 to 7.
    pub codec: (u32, u32, u32),
    /// Its licence, by how it was built.
    pub configured: &'static str,
    /// Coders that are missing and without which the main job does not work.
    pub missing_needed: Vec<&'static str>,
    /// Decoders that are missing, without which some media are refused.
    pub missing_wished: Vec<&'static str>,
}

/// Looks at the loaded libraries.
pub fn libraries() -> Libraries {
    let version = ff::codec::version();
    let absent = |names: &[&'static str]| -> Vec<&'static str> {
        let there = |name: &str| ff::codec::decoder::find_by_name(name).is_some();
        names.iter().copied().filter(|name| !there(name)).collect()
    };
    let mut missing_needed = absent(&["h264", "hevc", "aac", "mp3", "flac", "pcm_s16le"]);
    // What `process` writes.
    missing_needed.extend(
        ["flac"].into_iter().filter(|name| ff::codec::encoder::find_by_name(name).is_none()),
    );
    missing_needed.dedup();
    Libraries {
        codec: (version >> 16, version >> 8 & 0xff, version & 0xff),
        configured: ff::codec::license(),
        missing_needed,
        missing_wished: absent(&[
            "libdav1d",
            "vp9",
            "opus",
            "prores",
            "ac3",
            "mpeg2video",
            "dnxhd",
        ]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_libraries_that_tests_run_with_can_do_what_is_needed() {
        let found = libraries();
        assert!(found.codec.0 >= 59, "{found:?}");
        assert_eq!(found.missing_needed, [""; 0]);
    }
}
