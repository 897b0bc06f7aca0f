//! A stretch of a film's sound, pulled: sought, decoded and resampled from a time on.

use super::decoder::{Decoder, Step};
use super::input::{Input, Want};
use super::select::StreamClock;
use super::sound::{AudioChunk, SoundFormat, SoundPath, SoundShape, SoundSink};
use super::{allow, probe};
use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::Timestamp;
use std::num::NonZeroUsize;
use std::path::Path;

/// Decoders of lossy sound need some of what stands before to be right.
const PREROLL: Timestamp = Timestamp::from_millis(500);

/// The main sound stream of a file, from a time on, in one format.
pub struct SoundCursor {
    input: Input,
    index: usize,
    decoder: Decoder,
    path: SoundPath,
    kept: Kept,
    ended: bool,
}

#[derive(Default)]
struct Kept {
    samples: Vec<f32>,
    shape: Option<SoundShape>,
}

impl SoundSink for Kept {
    fn chunk(&mut self, chunk: AudioChunk<'_>) -> Result<()> {
        self.shape = Some(chunk.shape);
        self.samples.extend_from_slice(chunk.samples);
        Ok(())
    }
}

impl SoundCursor {
    /// Opens `path` at media time `from`: the first sample given is the one heard then.
    ///
    /// # Errors
    /// As [`probe()`](crate::media::probe()); [`ErrorKind::Input`] if it holds no sound.
    pub fn open(
        path: &Path,
        from: Timestamp,
        format: SoundFormat,
        limits: &Limits,
        cancel: &Cancel,
    ) -> Result<Self> {
        let mut input = Input::open(path, limits, cancel)?;
        let info = probe::describe(&mut input);
        let missing = || Error::new(ErrorKind::Input, Stage::Decode, "holds no sound").input(path);
        let index = info.audio().ok_or_else(missing)?.index;
        let parameters = input.parameters(index).ok_or_else(missing)?;
        let base = input.time_base(index);
        let clock = StreamClock { base, origin: info.origin };
        let decoder = Decoder::open(parameters, base, NonZeroUsize::MIN, limits)?;
        input.want(|i| if i == index { Want::Everything } else { Want::Nothing });
        let start = from.minus(PREROLL);
        if start > Timestamp::ZERO && input.is_seekable() && !allow::is_elementary(&info.container)
        {
            // Where it cannot be sought, what stands before is decoded and left out.
            let _ = input.seek(index, clock.tick(start));
        }
        // On a clock that starts at `from`, what lies before is left out to the sample.
        let clock = StreamClock { base, origin: info.origin.plus(from) };
        let path = SoundPath::new(format, clock);
        Ok(Self { input, index, decoder, path, kept: Kept::default(), ended: false })
    }

    /// The next `frames` samples of each channel, interleaved; fewer at the end, none behind it.
    ///
    /// # Errors
    /// Damage beyond what can be stepped over; limits; cancelling.
    pub fn read(&mut self, frames: usize) -> Result<Vec<f32>> {
        let channels = |shape: Option<SoundShape>| shape.map_or(1, |s| usize::from(s.channels));
        while !self.ended && self.kept.samples.len() < frames * channels(self.kept.shape) {
            self.more().map_err(|e| e.input(self.input.path()))?;
        }
        let count = (frames * channels(self.kept.shape)).min(self.kept.samples.len());
        Ok(self.kept.samples.drain(..count).collect())
    }

    fn more(&mut self) -> Result<()> {
        match self.decoder.receive_audio()? {
            Step::Frame(frame) => self.path.frame(&frame, &mut self.kept),
            Step::Drained => {
                self.ended = true;
                self.path.finish(&mut self.kept)
            }
            Step::NeedInput => {
                while let Some(packet) = self.input.read()? {
                    if packet.stream() == self.index {
                        return self.decoder.send(&packet);
                    }
                }
                self.decoder.drain()
            }
        }
    }
}
