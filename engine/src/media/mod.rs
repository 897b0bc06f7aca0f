//! Media in: probing, decoding once for many consumers, pictures and sound. The only module that
//! knows FFmpeg.
//!
//! An input is opened by [`probe()`] or [`Reading::open`], always as bytes that this module reads
//! itself, so that no file can make libav open another. See [`Reading`] for how threads and
//! queues are laid out.

// libav's constants are `i32` or `u32` by version and bindgen's mood; a cast keeps both building.
#![allow(clippy::unnecessary_cast)]

mod allow;
mod avc;
mod clock;
mod coded;
mod colour;
mod cursor;
mod decoder;
mod deinterlace;
mod editlist;
mod encode;
mod failure;
mod film_encode;
mod film_write;
mod frame;
mod gop;
mod gops;
mod groups;
mod hardware;
mod hwaccel;
mod info;
mod input;
mod libraries;
mod listen;
mod mux;
mod nal;
mod packet;
mod picture;
mod planar;
mod probe;
mod queue;
mod reading;
mod report;
mod resize;
mod select;
mod sequence;
mod small;
mod sound;
mod sound_copy;
mod source;

pub use avc::ParameterSets;
pub use clock::{Splice, SpliceKind, TOLERANCE};
pub use coded::{CodedGroup, CodedPicture};
pub use colour::{Colour, Matrix};
pub use cursor::FilmCursor;
pub use encode::SoundCodec;
pub use film_encode::{
    FilmCodec, FilmColour, FilmEncoder, FilmEncoding, FilmHeader, FilmPacket, FitH264, Pass,
    Quality, RateLimit,
};
pub use film_write::{FilmFormat, FilmSound, FilmTrack, FilmWriter, SoundHeader, SoundPacket};
pub use frame::VideoFrame;
pub use gops::{CodedMark, FilePacket, Survey, copy_packets, film_packets, sound_packets, survey};
pub use hardware::{Coding, SessionTried, try_hardware};
pub use hwaccel::HardwareDecoding;
pub use info::{
    AudioInfo, Cadence, Chapter, ColourInfo, Edit, HdrInfo, MediaInfo, Rotation, Scan, StreamInfo,
    StreamKind, VideoInfo,
};
pub use libraries::{Libraries, libraries};
pub use listen::SoundCursor;
pub use mux::{FilmContainer, Joined, SoundContainer, SoundFile, join};
pub use picture::{PictureConverter, PictureSize};
pub use planar::{PlanarConverter, PlanarPicture, PlanarRef, PlanarSamples, planar_to_rgb};
pub use probe::probe;
pub use reading::{FrameSink, GroupJudge, Picked, Reading};
pub use report::{Notice, ReadReport, SoundReport};
pub(crate) use resize::{ResizeFilter, Resizer, resize_rgb};
pub use select::{FramePolicy, Precision};
pub use small::{SMALL_HEIGHT, SMALL_WIDTH, SmallPicture};
pub use sound::{AudioChunk, Channels, SoundFormat, SoundShape, SoundSink};
pub use sound_copy::{copy_sound, copyable_sound};
