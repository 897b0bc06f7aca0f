//! H.264 parameter sets and packet layout, so that pictures of several encoders can follow each
//! other in one stream: every set in the decoder configuration record (ISO/IEC 14496-15, 5.3.3),
//! told apart by its own number, and every NAL unit behind a length of four bytes.

use super::nal::{NalCodec, NalLayout, units};
use std::collections::BTreeMap;

/// The parameter sets of a stream, by their numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ParameterSets {
    sps: BTreeMap<u32, Vec<u8>>,
    pps: BTreeMap<u32, Vec<u8>>,
}

/// The highest number of a sequence parameter set (H.264 7.4.2.1.1).
const MAX_SPS: u32 = 31;

impl ParameterSets {
    /// Reads an `avcC` record or start codes; `None` if there is no whole set in it.
    pub fn read(extradata: &[u8]) -> Option<Self> {
        let mut sets = Self::default();
        if extradata.first() == Some(&1) {
            let mut rest = extradata.get(5..)?;
            for mask in [31, 255] {
                let (count, behind) = rest.split_first()?;
                rest = behind;
                for _ in 0..count & mask {
                    let size = usize::from(u16::from_be_bytes(rest.get(..2)?.try_into().ok()?));
                    sets.take(rest.get(2..2 + size)?)?;
                    rest = &rest[2 + size..];
                }
            }
        } else {
            for unit in units(extradata, NalLayout::AnnexB) {
                sets.take(without_trailing_zeros(unit));
            }
        }
        (!sets.sps.is_empty() && !sets.pps.is_empty()).then_some(sets)
    }

    fn take(&mut self, unit: &[u8]) -> Option<()> {
        let set = unit.to_vec();
        match unit.first()? & 31 {
            // Three bytes of profile and level stand before the number.
            7 => self.sps.insert(golomb(unit.get(4..)?)?, set),
            8 => self.pps.insert(golomb(unit.get(1..)?)?, set),
            _ => return Some(()),
        };
        Some(())
    }

    /// Both together; `None` where different sets have the same number.
    pub fn with(&self, other: &Self) -> Option<Self> {
        let mut both = self.clone();
        for (mine, others) in [(&mut both.sps, &other.sps), (&mut both.pps, &other.pps)] {
            for (number, set) in others {
                if mine.insert(*number, set.clone()).is_some_and(|was| was != *set) {
                    return None;
                }
            }
        }
        Some(both)
    }

    /// The least number that no set has.
    pub fn free_number(&self) -> Option<u32> {
        (0..=MAX_SPS).find(|n| !self.sps.contains_key(n) && !self.pps.contains_key(n))
    }

    /// Profile, constraints and level, as the first sequence set has them.
    pub fn profile(&self) -> [u8; 3] {
        let first = self.sps.values().next().and_then(|sps| sps.get(1..4)?.try_into().ok());
        first.unwrap_or_default()
    }

    /// Its sets as they stand in a packet, behind lengths of four bytes: in front of a keyframe they
    /// take the place of those before that have the same numbers.
    pub fn in_band(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for set in self.sps.values().chain(self.pps.values()) {
            out.extend(u32::try_from(set.len()).unwrap_or(u32::MAX).to_be_bytes());
            out.extend(set);
        }
        out
    }

    /// The `avcC` record, for lengths of four bytes. Profile and level are the highest of all
    /// sets.
    pub fn record(&self) -> Vec<u8> {
        let profiles = || self.sps.values().filter_map(|sps| sps.get(1..4));
        // What all sets keep to; of the profiles, High covers Main and Baseline.
        let profile = profiles().map(|p| p[0]).max_by_key(|p| (*p >= 100, *p)).unwrap_or(100);
        let constraints = profiles().map(|p| p[1]).fold(0xff, |all, c| all & c);
        let level = profiles().map(|p| p[2]).max().unwrap_or(40);
        let mut out = vec![1, profile, constraints, level, 0xff];
        out.push(0xe0 | (self.sps.len().min(31) as u8));
        for set in self.sps.values().take(31) {
            push_set(&mut out, set);
        }
        out.push(self.pps.len().min(255) as u8);
        for set in self.pps.values().take(255) {
            push_set(&mut out, set);
        }
        if matches!(profile, 100 | 110 | 122 | 244) {
            // 4:2:0, 8 bits of luma and chroma, no extensions: all that is ever joined here.
            out.extend([0xfd, 0xf8, 0xf8, 0]);
        }
        out
    }
}

fn push_set(out: &mut Vec<u8>, set: &[u8]) {
    let size = u16::try_from(set.len()).unwrap_or(u16::MAX);
    out.extend(size.to_be_bytes());
    out.extend(&set[..usize::from(size)]);
}

fn without_trailing_zeros(unit: &[u8]) -> &[u8] {
    let end = unit.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    &unit[..end]
}

/// The first unsigned Exp-Golomb code (H.264 9.1).
fn golomb(bytes: &[u8]) -> Option<u32> {
    let mut word = [0; 8];
    let n = bytes.len().min(8);
    word[..n].copy_from_slice(&bytes[..n]);
    let bits = u64::from_be_bytes(word);
    let zeros = bits.leading_zeros();
    if zeros > 16 || 2 * zeros as usize + 1 > bytes.len() * 8 {
        return None;
    }
    Some(((bits << zeros) >> (63 - zeros)) as u32 - 1)
}

/// A packet with every NAL unit behind a length of four bytes, without parameter sets and
/// delimiters: those are in the record.
pub(super) fn with_lengths(packet: &[u8], layout: NalLayout) -> Vec<u8> {
    let mut out = Vec::with_capacity(packet.len() + 16);
    for unit in units(packet, layout) {
        let unit = match layout {
            NalLayout::AnnexB => without_trailing_zeros(unit),
            NalLayout::Length(_) => unit,
        };
        if unit.is_empty() || matches!(unit[0] & 31, 7..=9) {
            continue;
        }
        out.extend(u32::try_from(unit.len()).unwrap_or(u32::MAX).to_be_bytes());
        out.extend(unit);
    }
    out
}

/// The layout of a stream's packets.
pub(super) fn layout_of(extradata: &[u8]) -> NalLayout {
    NalCodec::H264.layout(extradata)
}

/// Whether a packet holds an IDR picture, and parameter sets that `known` lacks or has otherwise.
pub(super) fn look(packet: &[u8], layout: NalLayout, known: &ParameterSets) -> (bool, bool) {
    let (mut idr, mut strange) = (false, false);
    for unit in units(packet, layout) {
        match unit.first().map(|head| head & 31) {
            Some(5) => idr = true,
            Some(7 | 8) => {
                let mut own = ParameterSets::default();
                let read = own.take(without_trailing_zeros(unit)).is_some();
                strange |= !read || known.with(&own).as_ref() != Some(known);
            }
            _ => {}
        }
    }
    (idr, strange)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A set with this number: `ue(n)` behind the header.
    fn set(kind: u8, number: u32, tail: u8) -> Vec<u8> {
        let mut bits = String::new();
        let value = number + 1;
        let length = 32 - value.leading_zeros();
        bits.push_str(&"0".repeat(length as usize - 1));
        bits.push_str(&format!("{value:b}"));
        bits.push_str(&"1".repeat(16 - bits.len()));
        let code = u16::from_str_radix(&bits, 2).unwrap().to_be_bytes();
        let mut out = vec![kind];
        if kind & 31 == 7 {
            out.extend([100, 0, 31]);
        }
        out.extend(code);
        out.push(tail);
        out
    }

    fn annex_b(units: &[Vec<u8>]) -> Vec<u8> {
        units.iter().flat_map(|u| [&[0, 0, 0, 1], u.as_slice()].concat()).collect()
    }

    #[test]
    fn sets_are_joined_by_number() {
        let a = ParameterSets::read(&annex_b(&[set(0x67, 0, 9), set(0x68, 0, 9)])).unwrap();
        let b = ParameterSets::read(&annex_b(&[set(0x67, 1, 7), set(0x68, 1, 7)])).unwrap();
        let other = ParameterSets::read(&annex_b(&[set(0x67, 0, 7), set(0x68, 0, 9)])).unwrap();
        assert_eq!(a.free_number(), Some(1));
        assert!(a.with(&other).is_none());
        let both = a.with(&b).unwrap();
        assert_eq!(both.free_number(), Some(2));
        assert_eq!(ParameterSets::read(&both.record()).unwrap(), both);
        assert_eq!(a.with(&a).unwrap(), a);
    }

    #[test]
    fn packets_lose_their_sets_and_start_codes() {
        let idr = vec![0x65, 1, 2, 3];
        let packet = annex_b(&[set(0x67, 0, 9), set(0x68, 0, 9), idr.clone()]);
        let lengths = [&[0, 0, 0, 4], idr.as_slice()].concat();
        assert_eq!(with_lengths(&packet, NalLayout::AnnexB), lengths);
        assert_eq!(with_lengths(&lengths, NalLayout::Length(4)), lengths);
        let known = ParameterSets::read(&packet).unwrap();
        assert_eq!(look(&packet, NalLayout::AnnexB, &known), (true, false));
        let changed = annex_b(&[set(0x67, 0, 8), idr]);
        assert_eq!(look(&changed, NalLayout::AnnexB, &known), (true, true));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
            let _ = ParameterSets::read(&bytes).map(|sets| sets.record());
            for layout in [NalLayout::AnnexB, NalLayout::Length(4), NalLayout::Length(1)] {
                let _ = with_lengths(&bytes, layout);
                let _ = look(&bytes, layout, &ParameterSets::default());
            }
        }
    }
}
