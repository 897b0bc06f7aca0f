//! A video packet as the planner sees it.

use super::gop::Coded;
use super::nal::{NalCodec, NalLayout};
use ffmpeg::codec;
use ffmpeg::codec::packet::{Mut as _, Ref as _, side_data::Type as SideDataType};
use ffmpeg::{Packet, ffi};
use ffmpeg_next as ffmpeg;
use std::sync::Arc;

/// A packet, whether decoding can really start at it, and the decoder configuration in force.
pub(super) struct CodedPacket {
    packet: Packet,
    key: bool,
    /// How long a picture is shown where the container does not say.
    step: i64,
    /// Set on keyframes once the stream has changed its configuration mid-way; decoders that did
    /// not see the change need it.
    config: Option<Arc<[u8]>>,
}

impl CodedPacket {
    /// The packet to send to a decoder whose last configuration is `known`.
    pub(super) fn for_decoder(&self, known: &mut Option<Arc<[u8]>>) -> Option<Packet> {
        let config = self.config.as_ref()?;
        if known.as_ref().is_some_and(|k| Arc::ptr_eq(k, config)) {
            return None;
        }
        *known = Some(config.clone());
        let mut packet = self.packet.clone();
        // SAFETY: the packet is ours; libav allocates the side data, which is filled before
        // anybody reads it, and null is checked.
        #[allow(unsafe_code)]
        unsafe {
            let kind = ffi::AVPacketSideDataType::AV_PKT_DATA_NEW_EXTRADATA;
            let room = ffi::av_packet_new_side_data(packet.as_mut_ptr(), kind, config.len() as _);
            if !room.is_null() {
                std::ptr::copy_nonoverlapping(config.as_ptr(), room, config.len());
            }
        }
        Some(packet)
    }

    pub(super) fn packet(&self) -> &Packet {
        &self.packet
    }
}

impl Coded for CodedPacket {
    fn tick(&self) -> Option<i64> {
        self.packet.pts().or(self.packet.dts())
    }

    fn dts(&self) -> Option<i64> {
        self.packet.dts()
    }

    fn duration(&self) -> i64 {
        Some(self.packet.duration()).filter(|ticks| *ticks > 0).unwrap_or(self.step)
    }

    fn is_key(&self) -> bool {
        self.key
    }

    fn is_hidden(&self) -> bool {
        // SAFETY: the packet lives as long as the borrow; a plain field is read (ffmpeg-next's own
        // flags leave this one out).
        #[allow(unsafe_code)]
        unsafe {
            (*self.packet.as_ptr()).flags & ffi::AV_PKT_FLAG_DISCARD as i32 != 0
        }
    }

    fn size(&self) -> u64 {
        self.packet.size() as u64
    }
}

/// Judges the packets of one video stream.
pub(super) struct PacketReader {
    nal: Option<(NalCodec, NalLayout)>,
    step: i64,
    config: Option<Arc<[u8]>>,
}

impl PacketReader {
    /// `step`: ticks from one picture to the next at the stated rate.
    pub(super) fn new(parameters: &codec::Parameters, step: i64) -> Self {
        let codec = match parameters.id() {
            codec::Id::H264 => Some(NalCodec::H264),
            codec::Id::HEVC => Some(NalCodec::Hevc),
            _ => None,
        };
        // SAFETY: `Parameters` holds a valid AVCodecParameters; extradata is null or a buffer of
        // `extradata_size` bytes.
        #[allow(unsafe_code)]
        let extradata = unsafe {
            let raw = &*parameters.as_ptr();
            match usize::try_from(raw.extradata_size) {
                Ok(size) if !raw.extradata.is_null() => {
                    std::slice::from_raw_parts(raw.extradata, size).to_vec()
                }
                _ => Vec::new(),
            }
        };
        Self { nal: codec.map(|codec| (codec, codec.layout(&extradata))), step, config: None }
    }

    pub(super) fn read(&mut self, packet: Packet) -> CodedPacket {
        if let Some(new) = packet.side_data().find(|d| d.kind() == SideDataType::NewExtraData) {
            self.config = Some(new.data().into());
            if let Some((codec, layout)) = &mut self.nal {
                *layout = codec.layout(new.data());
            }
        }
        let key = packet.is_key()
            && match (self.nal, packet.data()) {
                (Some((codec, layout)), Some(data)) => codec.can_start(data, layout),
                _ => true,
            };
        CodedPacket { packet, key, step: self.step, config: self.config.clone().filter(|_| key) }
    }
}
