//! What reading an input found out: how much was decoded, and everything that was not as it
//! should be but did not stop the work.

use super::clock::Splice;
use super::sound::SoundShape;
use crate::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The account of one reading.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ReadReport {
    /// Pictures that came out of the decoder.
    pub frames_decoded: u64,
    /// Pictures handed to consumers.
    pub frames_given: u64,
    /// Video packets read.
    pub packets: u64,
    /// Seeks made to skip what nobody wanted.
    pub seeks: u64,
    /// Bytes read from the input.
    pub bytes_read: u64,
    /// What each sound consumer got, in the order of the requests.
    pub sound: Vec<SoundReport>,
    /// What was not as it should be.
    pub notices: Vec<Notice>,
}

impl ReadReport {
    /// Whether something is missing from the result because the input is damaged.
    pub fn is_damaged(&self) -> bool {
        self.notices.iter().any(|n| {
            matches!(
                n,
                Notice::DamagedPackets { .. }
                    | Notice::Undecodable { .. }
                    | Notice::EndsEarly { .. }
            )
        })
    }
}

/// What one sound consumer got.
#[derive(Clone, Debug, Serialize)]
pub struct SoundReport {
    /// Rate and channels; absent if no sample could be decoded.
    pub shape: Option<SoundShape>,
    /// Samples of each channel.
    pub samples: u64,
    /// Where stamps and samples did not meet.
    pub splices: Vec<Splice>,
}

/// Something about an input that a person may want to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(tag = "notice", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Notice {
    /// The container is damaged in this many places.
    DamagedPackets {
        /// How many.
        count: u64,
    },
    /// This many packets or pictures could not be decoded.
    Undecodable {
        /// How many.
        count: u64,
    },
    /// The last picture or sample comes long before the stated end.
    EndsEarly {
        /// Where the content ends.
        at: Timestamp,
        /// Where the container says it ends.
        stated: Timestamp,
    },
    /// Pictures change size or pixel format mid-stream.
    ShapeChanged {
        /// The first picture of the new shape.
        at: Timestamp,
        /// The new width, height and pixel format.
        to: String,
    },
    /// Timestamps that were missing or went backward were repaired.
    TimestampsRepaired {
        /// How many.
        count: u64,
    },
    /// A GPU was to decode, and cannot decode this: the processors did.
    SoftwareDecoding,
    /// Pictures are interlaced and were not asked to be deinterlaced.
    Interlaced,
    /// Pictures are HDR (PQ or HLG) and were converted without tone mapping.
    HdrNotMapped,
    /// The colour matrix is unmarked; the one named was assumed.
    MatrixAssumed {
        /// The matrix taken.
        matrix: String,
    },
}

impl std::fmt::Display for Notice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DamagedPackets { count } => {
                write!(f, "the container is damaged in {count} places")
            }
            Self::Undecodable { count } => write!(f, "{count} packets could not be decoded"),
            Self::EndsEarly { at, stated } => {
                write!(f, "ends at {at}, though {stated} is stated: the file may be cut off")
            }
            Self::ShapeChanged { at, to } => write!(f, "pictures change to {to} at {at}"),
            Self::TimestampsRepaired { count } => {
                write!(f, "{count} missing or backward timestamps were repaired")
            }
            Self::SoftwareDecoding => {
                f.write_str("the GPU cannot decode these pictures; the processors did")
            }
            Self::Interlaced => f.write_str("pictures are interlaced (--deinterlace mends them)"),
            Self::HdrNotMapped => f.write_str("pictures are HDR and were not tone-mapped"),
            Self::MatrixAssumed { matrix } => write!(f, "colour matrix unmarked, {matrix} assumed"),
        }
    }
}

/// Counters shared by the threads of one reading.
#[derive(Default)]
pub(super) struct Tally {
    pub frames_decoded: AtomicU64,
    pub frames_given: AtomicU64,
    pub pixels: AtomicU64,
    pub undecodable: AtomicU64,
    pub repaired: AtomicU64,
    /// Whether a GPU was to decode and the processors had to.
    pub software: AtomicBool,
    /// The first picture seen of each run of one shape, by tick.
    shapes: Mutex<BTreeMap<i64, Seen>>,
    /// The latest packet read, media clock, in microseconds.
    reached: AtomicU64,
    /// Whether the demuxer came to the end of the input.
    ended: AtomicBool,
}

#[derive(Clone, PartialEq, Eq)]
struct Seen {
    at: Timestamp,
    shape: String,
    interlaced: bool,
    hdr: bool,
    assumed: Option<String>,
}

impl Tally {
    /// Notes how far the content really goes.
    pub(super) fn reach(&self, time: Timestamp) {
        let micros =
            time.rescale(crate::time::TimeBase::MICROS, crate::time::Rounding::Floor).ticks();
        self.reached.fetch_max(micros.max(0).unsigned_abs(), Ordering::Relaxed);
    }

    /// Notes that the demuxer came to the end.
    pub(super) fn end(&self) {
        self.ended.store(true, Ordering::Relaxed);
    }

    /// How far the content goes, where it was read to its end.
    pub(super) fn ended_at(&self) -> Option<Timestamp> {
        let micros = i64::try_from(self.reached.load(Ordering::Relaxed)).ok()?;
        let at = Timestamp::new(micros, crate::time::TimeBase::MICROS);
        self.ended.load(Ordering::Relaxed).then_some(at)
    }

    /// Notes a picture that differs from the one its thread saw before.
    pub(super) fn see(&self, frame: &super::frame::VideoFrame) {
        let colour = frame.colour();
        let format = frame.pixel_format_name().unwrap_or_default();
        let yuv = !format.starts_with("rgb")
            && !format.starts_with("bgr")
            && !format.starts_with("gbr")
            && !format.starts_with("pal")
            && !format.starts_with("gray");
        let seen = Seen {
            at: frame.time(),
            shape: format!("{}x{} {format}", frame.width(), frame.height()),
            interlaced: frame.is_interlaced(),
            hdr: frame.is_hdr(),
            assumed: (yuv && !colour.matrix_marked)
                .then(|| format!("{:?}", colour.matrix).to_lowercase()),
        };
        let mut shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        // A stream that changes at every picture is told by its first thousand changes.
        if shapes.len() < 1000 {
            shapes.insert(frame.pts(), seen);
        }
    }

    /// The notices that follow from what was seen.
    pub(super) fn notices(&self, deinterlaced: bool) -> Vec<Notice> {
        let mut notices = Vec::new();
        let shapes = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut last: Option<&str> = None;
        for seen in shapes.values() {
            if last.is_some_and(|last| last != seen.shape) && notices.len() < 100 {
                notices.push(Notice::ShapeChanged { at: seen.at, to: seen.shape.clone() });
            }
            last = Some(&seen.shape);
        }
        if self.software.load(Ordering::Relaxed) {
            notices.push(Notice::SoftwareDecoding);
        }
        if !deinterlaced && shapes.values().any(|s| s.interlaced) {
            notices.push(Notice::Interlaced);
        }
        if shapes.values().any(|s| s.hdr) {
            notices.push(Notice::HdrNotMapped);
        }
        if let Some(matrix) = shapes.values().find_map(|s| s.assumed.clone()) {
            notices.push(Notice::MatrixAssumed { matrix });
        }
        let count = self.undecodable.load(Ordering::Relaxed);
        if count > 0 {
            notices.push(Notice::Undecodable { count });
        }
        let count = self.repaired.load(Ordering::Relaxed);
        if count > 0 {
            notices.push(Notice::TimestampsRepaired { count });
        }
        notices
    }
}
