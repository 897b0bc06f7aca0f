//! Looks into H.264 and HEVC packets for what they really are: containers flag keyframes wrongly
//! (an MP4 without a sync table flags all), and the flag does not tell an IDR from an open GOP.

/// How a packet's NAL units are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalLayout {
    /// Start codes (ITU-T H.264 and H.265, annex B).
    AnnexB,
    /// Each unit behind its length in this many bytes (ISO/IEC 14496-15).
    Length(usize),
}

/// The two codecs whose packets are NAL units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NalCodec {
    H264,
    Hevc,
}

impl NalCodec {
    /// The layout that the decoder configuration record announces.
    pub(super) fn layout(self, extradata: &[u8]) -> NalLayout {
        let at = match self {
            Self::H264 => 4,
            Self::Hevc => 21,
        };
        match (extradata.first(), extradata.get(at)) {
            (Some(1), Some(byte)) => NalLayout::Length(usize::from(byte & 3) + 1),
            _ => NalLayout::AnnexB,
        }
    }

    /// Whether decoding can start at this packet: it holds an IDR or IRAP picture, a recovery
    /// point, or an intra slice. A packet that cannot be read is taken at the container's word.
    pub(super) fn can_start(self, packet: &[u8], layout: NalLayout) -> bool {
        for unit in units(packet, layout) {
            let Some(head) = unit.first() else { continue };
            match self {
                Self::H264 => match head & 31 {
                    5 => return true,
                    6 if has_recovery_point(&unit[1..]) => return true,
                    1 | 2 => return h264_slice_is_intra(&unit[1..]).unwrap_or(true),
                    _ => {}
                },
                Self::Hevc => match (head >> 1) & 63 {
                    16..=23 => return true,
                    0..=9 => return false,
                    _ => {}
                },
            }
        }
        true
    }
}

/// The NAL units of a packet; at most 256 are looked at.
pub(super) fn units(packet: &[u8], layout: NalLayout) -> impl Iterator<Item = &[u8]> {
    let mut rest = packet;
    std::iter::from_fn(move || match layout {
        NalLayout::Length(bytes) => {
            let prefix = rest.get(..bytes)?;
            let size = prefix.iter().fold(0usize, |size, b| size << 8 | usize::from(*b));
            let unit = rest.get(bytes..bytes.checked_add(size)?)?;
            rest = &rest[bytes + size..];
            Some(unit)
        }
        NalLayout::AnnexB => {
            let start = find_start(rest)?;
            rest = &rest[start + 3..];
            let end = find_start(rest).unwrap_or(rest.len());
            Some(&rest[..end])
        }
    })
    .take(256)
}

fn find_start(bytes: &[u8]) -> Option<usize> {
    bytes.windows(3).position(|w| w == [0, 0, 1])
}

/// Whether an SEI unit (behind its header byte) holds payload type 6, a recovery point.
fn has_recovery_point(mut sei: &[u8]) -> bool {
    for _ in 0..32 {
        let mut value = || -> Option<usize> {
            let mut sum = 0;
            loop {
                let (byte, rest) = sei.split_first()?;
                sei = rest;
                sum += usize::from(*byte);
                if *byte != 255 {
                    return Some(sum);
                }
            }
        };
        let (Some(kind), Some(size)) = (value(), value()) else { return false };
        if kind == 6 {
            return true;
        }
        match sei.get(size..) {
            Some(rest) => sei = rest,
            None => return false,
        }
    }
    false
}

/// Reads `first_mb_in_slice` and `slice_type` (H.264 7.3.3): types 2, 4, 7 and 9 are intra.
fn h264_slice_is_intra(slice: &[u8]) -> Option<bool> {
    // Two Exp-Golomb codes fit the first bytes; emulation prevention cannot occur before them
    // unless first_mb is huge.
    let mut word = [0u8; 16];
    let n = slice.len().min(16);
    word[..n].copy_from_slice(&slice[..n]);
    let bits = u128::from_be_bytes(word);
    let mut at = 0u32;
    let mut golomb = || -> Option<u32> {
        let zeros = (bits << at).leading_zeros();
        if zeros > 20 || at + 2 * zeros + 1 > 128 {
            return None;
        }
        let value = (bits << at) >> (127 - 2 * zeros);
        at += 2 * zeros + 1;
        u32::try_from(value - 1).ok()
    };
    golomb()?;
    Some(matches!(golomb()?, 2 | 4 | 7 | 9))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const L4: NalLayout = NalLayout::Length(4);

    #[test]
    fn h264_units() {
        let h264 = NalCodec::H264;
        assert!(h264.can_start(&[0, 0, 0, 1, 0x65, 0x88], NalLayout::AnnexB));
        assert!(h264.can_start(&[0, 0, 0, 2, 0x65, 0x88], L4));
        // ue(0) = 1, ue(7) = 0001000: an I slice without IDR; ue(5) = 00110: a P slice
        assert!(h264.can_start(&[0, 0, 0, 2, 0x41, 0b1000_1000], L4));
        assert!(!h264.can_start(&[0, 0, 0, 2, 0x41, 0b1001_1000], L4));
        // a P slice behind a recovery point may start (gradual refresh)
        assert!(h264.can_start(&[0, 0, 0, 4, 6, 6, 1, 0xc4, 0, 0, 0, 2, 0x41, 0b1001_1000], L4));
    }

    #[test]
    fn hevc_units() {
        assert!(NalCodec::Hevc.can_start(&[0, 0, 1, 21 << 1, 1], NalLayout::AnnexB));
        assert!(!NalCodec::Hevc.can_start(&[0, 0, 1, 1 << 1, 1], NalLayout::AnnexB));
    }

    #[test]
    fn layouts() {
        assert_eq!(NalCodec::H264.layout(&[1, 100, 0, 31, 0xff]), NalLayout::Length(4));
        assert_eq!(NalCodec::H264.layout(&[0, 0, 0, 1, 0x67]), NalLayout::AnnexB);
        assert_eq!(NalCodec::Hevc.layout(&[]), NalLayout::AnnexB);
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..=4) {
            for codec in [NalCodec::H264, NalCodec::Hevc] {
                let _ = codec.can_start(&bytes, NalLayout::AnnexB);
                let _ = codec.can_start(&bytes, NalLayout::Length(size));
                let _ = codec.layout(&bytes);
            }
        }
    }
}
