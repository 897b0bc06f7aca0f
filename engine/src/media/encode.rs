//! Sound out: 32-bit float samples into PCM, FLAC, AAC or Opus packets, stamped from the count of
//! samples and from nothing else.

use super::input::{libav_error, quiet};
use super::sound::SoundShape;
use crate::error::{Error, ErrorKind, Result, Stage};
use ffmpeg::format::{Sample, sample::Type as Layout};
use ffmpeg::{ChannelLayout, Packet, Rational, codec, frame};
use ffmpeg_next as ffmpeg;

/// How sound is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SoundCodec {
    /// 16-bit PCM.
    Pcm16,
    /// 16-bit FLAC, lossless.
    Flac,
    /// AAC-LC at 96 kbit/s a channel.
    Aac,
    /// Opus at 64 kbit/s a channel; 48 kHz.
    Opus,
}

impl SoundCodec {
    pub(super) fn id(self) -> codec::Id {
        match self {
            Self::Pcm16 => codec::Id::PCM_S16LE,
            Self::Flac => codec::Id::FLAC,
            Self::Aac => codec::Id::AAC,
            Self::Opus => codec::Id::OPUS,
        }
    }

    fn find(self) -> Option<ffmpeg::Codec> {
        match self {
            // libav's own is experimental.
            Self::Opus => codec::encoder::find_by_name("libopus"),
            _ => codec::encoder::find(self.id()),
        }
    }

    /// Bits a second of each channel where nobody says; 0 for codecs that take what they need.
    fn usual_rate(self) -> usize {
        match self {
            Self::Aac => 96_000,
            Self::Opus => 64_000,
            Self::Pcm16 | Self::Flac => 0,
        }
    }

    fn sample(self) -> Sample {
        match self {
            Self::Pcm16 | Self::Flac => Sample::I16(Layout::Packed),
            Self::Aac => Sample::F32(Layout::Planar),
            Self::Opus => Sample::F32(Layout::Packed),
        }
    }
}

/// An open encoder.
pub(super) struct SoundEncoder {
    encoder: codec::encoder::audio::Encoder,
    kind: SoundCodec,
    shape: SoundShape,
    layout: ChannelLayout,
    /// Samples of each channel that a frame takes.
    frame: usize,
    /// Interleaved samples that do not fill a frame yet.
    rest: Vec<f32>,
    /// Samples of each channel sent so far: the next frame's timestamp.
    sent: i64,
}

impl SoundEncoder {
    /// `global_header`: whether the container stores the codec's header itself (MP4, FLAC).
    pub(super) fn open(kind: SoundCodec, shape: SoundShape, global_header: bool) -> Result<Self> {
        Self::open_at(kind, shape, None, global_header)
    }

    /// At `bit_rate` bits a second, over all channels, where the codec has such a thing.
    pub(super) fn open_at(
        kind: SoundCodec,
        shape: SoundShape,
        bit_rate: Option<u32>,
        global_header: bool,
    ) -> Result<Self> {
        quiet();
        let unsupported = |why: String| {
            Error::new(ErrorKind::Unsupported, Stage::Encode, why)
                .hint("ask for stereo or mono, or another rate or format")
        };
        let codec = kind.find().ok_or_else(|| {
            unsupported(format!("this FFmpeg cannot encode {}", kind.id().name()))
        })?;
        if shape.channels > 8 {
            return Err(unsupported(format!("{} channels cannot be stored", shape.channels)));
        }
        let layout = ChannelLayout::default(i32::from(shape.channels));
        let rate = i32::try_from(shape.rate).unwrap_or(i32::MAX);
        let mut context = codec::Context::new_with_codec(codec);
        context.set_time_base(Rational(1, rate));
        if global_header {
            context.set_flags(codec::Flags::GLOBAL_HEADER);
        }
        let mut audio = context.encoder().audio().map_err(|e| libav_error(e, Stage::Encode))?;
        audio.set_rate(rate);
        audio.set_format(kind.sample());
        audio.set_channel_layout(layout);
        let usual = kind.usual_rate() * usize::from(shape.channels);
        if usual > 0 {
            audio.set_bit_rate(bit_rate.map_or(usual, |rate| rate as usize));
        }
        let encoder = audio.open_as(codec).map_err(|e| {
            unsupported(format!(
                "{} Hz with {} channels cannot be stored as {}: {e}",
                shape.rate,
                shape.channels,
                kind.id().name()
            ))
        })?;
        let frame = match encoder.frame_size() {
            0 => 4096,
            size => size as usize,
        };
        Ok(Self { encoder, kind, shape, layout, frame, rest: Vec::new(), sent: 0 })
    }

    pub(super) fn encoder(&self) -> &codec::encoder::audio::Encoder {
        &self.encoder
    }

    /// Encodes interleaved samples; what does not fill a frame is kept.
    pub(super) fn push(
        &mut self,
        mut samples: &[f32],
        take: &mut dyn FnMut(Packet) -> Result<()>,
    ) -> Result<()> {
        let full = self.frame * usize::from(self.shape.channels);
        while !samples.is_empty() {
            let room = (full - self.rest.len()).min(samples.len());
            self.rest.extend_from_slice(&samples[..room]);
            samples = &samples[room..];
            if self.rest.len() == full {
                self.send(take)?;
            }
        }
        Ok(())
    }

    /// Encodes what is left.
    pub(super) fn finish(&mut self, take: &mut dyn FnMut(Packet) -> Result<()>) -> Result<()> {
        if !self.rest.is_empty() {
            self.send(take)?;
        }
        self.encoder.send_eof().map_err(|e| libav_error(e, Stage::Encode))?;
        self.receive(take)
    }

    fn send(&mut self, take: &mut dyn FnMut(Packet) -> Result<()>) -> Result<()> {
        let channels = usize::from(self.shape.channels);
        let samples = self.rest.len() / channels;
        let mut frame = frame::Audio::new(self.kind.sample(), samples, self.layout);
        frame.set_rate(self.shape.rate);
        frame.set_pts(Some(self.sent));
        match self.kind {
            SoundCodec::Pcm16 | SoundCodec::Flac => {
                for (bytes, sample) in frame.data_mut(0).chunks_exact_mut(2).zip(&self.rest) {
                    bytes.copy_from_slice(&to_i16(*sample).to_ne_bytes());
                }
            }
            SoundCodec::Opus => {
                for (bytes, sample) in frame.data_mut(0).chunks_exact_mut(4).zip(&self.rest) {
                    bytes.copy_from_slice(&sample.to_ne_bytes());
                }
            }
            SoundCodec::Aac => {
                for channel in 0..channels {
                    let plane = frame.data_mut(channel).chunks_exact_mut(4);
                    for (bytes, sample) in
                        plane.zip(self.rest.iter().skip(channel).step_by(channels))
                    {
                        bytes.copy_from_slice(&sample.to_ne_bytes());
                    }
                }
            }
        }
        self.sent += samples as i64;
        self.rest.clear();
        self.encoder.send_frame(&frame).map_err(|e| libav_error(e, Stage::Encode))?;
        self.receive(take)
    }

    fn receive(&mut self, take: &mut dyn FnMut(Packet) -> Result<()>) -> Result<()> {
        loop {
            let mut packet = Packet::empty();
            match self.encoder.receive_packet(&mut packet) {
                Ok(()) => take(packet)?,
                Err(ffmpeg::Error::Eof | ffmpeg::Error::Other { errno: ffmpeg::error::EAGAIN }) => {
                    return Ok(());
                }
                Err(error) => return Err(libav_error(error, Stage::Encode)),
            }
        }
    }
}

/// Full scale is 32768, as libswresample has it; rounded to nearest, clipped.
fn to_i16(sample: f32) -> i16 {
    // `as` saturates and takes NaN for 0.
    (sample * 32768.0).round() as i16
}

#[cfg(test)]
mod tests {
    use super::to_i16;

    #[test]
    fn samples_clip() {
        assert_eq!(
            [0.0, 1.0, -1.0, 2.0, f32::NAN, 0.5].map(to_i16),
            [0, 32767, -32768, 32767, 0, 16384]
        );
    }
}
