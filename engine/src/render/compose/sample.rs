//! What the two depths have in common.

/// A code value: `u8` for 8 bit, `u16` for 10 bit.
pub trait Sample: Copy + Default + Send + Sync + PartialEq + std::fmt::Debug + 'static {
    /// The largest code value.
    const MAX: i32;
    /// Nothing.
    const ZERO: Self;
    /// Bits by which a code value is moved up in the 14-bit words between the two passes of a
    /// scale.
    const UP: u32;
    /// The nearest code value.
    fn from_i32(value: i32) -> Self;
    /// As a number.
    fn to_i32(self) -> i32;
    /// The samples as bytes where they are bytes.
    fn as_bytes(row: &[Self]) -> Option<&[u8]>;
    /// The samples as bytes to write where they are bytes.
    fn as_bytes_mut(row: &mut [Self]) -> Option<&mut [u8]>;
    /// The samples as words where they are words.
    fn as_words(row: &[Self]) -> Option<&[u16]>;
    /// The samples as words to write where they are words.
    fn as_words_mut(row: &mut [Self]) -> Option<&mut [u16]>;
}

impl Sample for u8 {
    const MAX: i32 = 255;
    const ZERO: Self = 0;
    const UP: u32 = 6;

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        value.clamp(0, 255) as u8
    }

    #[inline(always)]
    fn to_i32(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn as_bytes(row: &[Self]) -> Option<&[u8]> {
        Some(row)
    }

    #[inline(always)]
    fn as_bytes_mut(row: &mut [Self]) -> Option<&mut [u8]> {
        Some(row)
    }

    #[inline(always)]
    fn as_words(_: &[Self]) -> Option<&[u16]> {
        None
    }

    #[inline(always)]
    fn as_words_mut(_: &mut [Self]) -> Option<&mut [u16]> {
        None
    }
}

impl Sample for u16 {
    const MAX: i32 = 1023;
    const ZERO: Self = 0;
    const UP: u32 = 4;

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        value.clamp(0, 1023) as u16
    }

    #[inline(always)]
    fn to_i32(self) -> i32 {
        i32::from(self)
    }

    #[inline(always)]
    fn as_bytes(_: &[Self]) -> Option<&[u8]> {
        None
    }

    #[inline(always)]
    fn as_bytes_mut(_: &mut [Self]) -> Option<&mut [u8]> {
        None
    }

    #[inline(always)]
    fn as_words(row: &[Self]) -> Option<&[u16]> {
        Some(row)
    }

    #[inline(always)]
    fn as_words_mut(row: &mut [Self]) -> Option<&mut [u16]> {
        Some(row)
    }
}
