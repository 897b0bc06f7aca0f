//! RGB pictures made larger or smaller, by `fast_image_resize` (convolution filters with SIMD).
//!
//! Its typed calls, not its dynamic ones: those bring in the code for every kind of pixel, several times
//! as much as all of this crate.

use crate::error::{Error, ErrorKind, Result, Stage};
use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8x3;
pub(crate) use fast_image_resize::{FilterType as ResizeFilter, Resizer};
use fast_image_resize::{ResizeAlg, ResizeOptions};

/// The picture `from` (rows packed tightly, of `from_size`) at another size, by convolution.
///
/// # Errors
/// [`ErrorKind::Internal`] where `from` is of another size.
pub(crate) fn resize_rgb(
    resizer: &mut Resizer,
    from: &[u8],
    (from_width, from_height): (u32, u32),
    (width, height): (u32, u32),
    filter: ResizeFilter,
) -> Result<Vec<u8>> {
    let failed = |what: String| Error::new(ErrorKind::Internal, Stage::Convert, what);
    let source = TypedImageRef::<U8x3>::from_buffer(from_width, from_height, from)
        .map_err(|e| failed(e.to_string()))?;
    let mut made = vec![0; width as usize * height as usize * 3];
    let mut target = TypedImage::<U8x3>::from_buffer(width, height, &mut made)
        .map_err(|e| failed(e.to_string()))?;
    let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(filter)).use_alpha(false);
    resizer.resize_typed(&source, &mut target, &options).map_err(|e| failed(e.to_string()))?;
    drop(target);
    Ok(made)
}
