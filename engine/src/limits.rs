//! What the engine refuses to spend on an input. Every limit is checked before the resource is
//! taken; a refusal is an [`ErrorKind::Limit`] that names the limit.

use crate::error::{Error, ErrorKind, Stage};
use crate::time::Timestamp;
use std::time::Duration;

/// Bounds on one input's processing. The defaults admit 12 hours of 4K film and stop bombs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Pixels of one picture (width × height). Default 2^27: 16384 × 8192.
    pub pixels_per_frame: u64,
    /// Pixels decoded from one input in all. Default 4 × 10^13: 12 hours of 4K at 60 fps and more.
    pub decoded_pixels: u64,
    /// Pixels decoded per byte of input, once 2^34 pixels are decoded; stops tiny files that
    /// unfold into days of pictures. Default 1,000,000.
    pub pixels_per_byte: u64,
    /// Streams, attachments included. Default 256.
    pub streams: u32,
    /// Length of the programme. Default 48 h.
    pub duration: Duration,
    /// Bytes read from one input that is a file. Default 4 TiB.
    pub file_bytes: u64,
    /// Bytes read from one input that is a pipe. Default 64 GiB.
    pub pipe_bytes: u64,
    /// How long a pipe may stay silent. Default 30 s.
    pub pipe_silence: Duration,
    /// Wall time for one input. Default 24 h.
    pub wall: Duration,
    /// Bytes of packets and pictures that wait between threads. Default 64 MiB.
    pub in_flight_bytes: u64,
    /// Frames written from one input. Default 1,000,000.
    pub frames_out: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            pixels_per_frame: 1 << 27,
            decoded_pixels: 40_000_000_000_000,
            pixels_per_byte: 1_000_000,
            streams: 256,
            duration: Duration::from_secs(48 * 3600),
            file_bytes: 4 << 40,
            pipe_bytes: 64 << 30,
            pipe_silence: Duration::from_secs(30),
            wall: Duration::from_secs(24 * 3600),
            in_flight_bytes: 64 << 20,
            frames_out: 1_000_000,
        }
    }
}

impl Limits {
    /// The error of a limit passed: `what` was asked, `limit` is allowed.
    pub(crate) fn exceeded(stage: Stage, what: String, limit: String) -> Error {
        Error::new(ErrorKind::Limit, stage, format!("{what} is over the limit of {limit}"))
            .hint("if you trust the file, raise the limit")
    }

    /// Refuses a picture of more than [`Self::pixels_per_frame`], or of no area.
    pub fn check_picture(&self, stage: Stage, width: u32, height: u32) -> Result<(), Error> {
        let pixels = u64::from(width) * u64::from(height);
        if pixels > self.pixels_per_frame {
            return Err(Self::exceeded(
                stage,
                format!("a picture of {width}x{height}"),
                format!("{} pixels", self.pixels_per_frame),
            ));
        }
        Ok(())
    }

    /// Refuses a programme longer than [`Self::duration`].
    pub fn check_duration(&self, stage: Stage, duration: Timestamp) -> Result<(), Error> {
        if duration.as_secs_f64() > self.duration.as_secs_f64() {
            return Err(Self::exceeded(
                stage,
                format!("a duration of {duration}"),
                format!("{} h", self.duration.as_secs() / 3600),
            ));
        }
        Ok(())
    }

    /// Refuses once `pixels` have been decoded from an input of `bytes`.
    pub fn check_decoded(&self, pixels: u64, bytes: u64) -> Result<(), Error> {
        const FREE: u64 = 1 << 34;
        let ratio = bytes.saturating_mul(self.pixels_per_byte).max(FREE);
        let limit = self.decoded_pixels.min(ratio);
        if pixels > limit {
            return Err(Self::exceeded(
                Stage::Decode,
                format!("decoding {pixels} pixels"),
                format!("{limit} for this input"),
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_refused_and_films_pass() {
        let limits = Limits::default();
        assert!(limits.check_picture(Stage::Open, 65535, 65535).is_err());
        assert!(limits.check_picture(Stage::Open, 7680, 4320).is_ok());
        assert!(limits.check_duration(Stage::Open, Timestamp::from_secs(i64::MAX)).is_err());
        assert!(limits.check_duration(Stage::Open, Timestamp::from_secs(12 * 3600)).is_ok());
        // 12 h of 4K60 in 40 GB; a 1 kB file that unfolds into 2^35 pixels
        assert!(limits.check_decoded(3840 * 2160 * 60 * 43200, 40 << 30).is_ok());
        assert!(limits.check_decoded(1 << 35, 1000).is_err());
    }
}
