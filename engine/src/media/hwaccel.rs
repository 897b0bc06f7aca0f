//! Decoding on a GPU: NVDEC through libav's own decoders, one session for each of ours.
//!
//! Pictures stay in the GPU's memory until somebody is given one: of a group of which one picture is
//! wanted, one is fetched. What the GPU cannot decode (AV1 and 10-bit H.264 on Hopper, 4:4:4, odd
//! sizes), libav decodes in software by itself; [`Notice::SoftwareDecoding`](super::Notice) tells.
//!
//! A GPU loses where little is decoded: a session takes some tenths of a second to begin. So it is
//! used where a reading decodes at least [`WORTH_PIXELS`].

use super::input::libav_error;
use crate::error::{Error, ErrorKind, Result, Stage};
use ffmpeg::{codec, ffi, frame};
use ffmpeg_next as ffmpeg;
use std::ptr::null_mut;
use std::sync::Arc;

/// Luma samples from which on a GPU is worth its start: 500 pictures of 1080p.
pub(super) const WORTH_PIXELS: u64 = 500 * 1920 * 1080;

/// Pictures that may be held beside those the decoder itself needs: the keyframe, the picture shown
/// last, the one that is being fetched. NVDEC has 32 in all.
const HELD: i32 = 4;

/// A GPU that decodes. Cheap to clone; sessions on all threads share its context, which is CUDA's
/// primary one, so that kernels of ours can read its pictures where they are.
#[derive(Clone)]
pub struct HardwareDecoding {
    context: Arc<Context>,
}

/// libav's handle; the last clone lets it go.
struct Context(*mut ffi::AVBufferRef);

// SAFETY: an AVBufferRef is counted atomically, and the device context behind it is set up once and
// only read afterwards; libav hands it to threads of its own likewise.
#[allow(unsafe_code)]
unsafe impl Send for Context {}
// SAFETY: as above.
#[allow(unsafe_code)]
unsafe impl Sync for Context {}

impl Drop for Context {
    fn drop(&mut self) {
        // SAFETY: ours since `open`; nobody uses it after this.
        #[allow(unsafe_code)]
        unsafe {
            ffi::av_buffer_unref(&raw mut self.0);
        }
    }
}

impl std::fmt::Debug for HardwareDecoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HardwareDecoding(cuda)")
    }
}

impl HardwareDecoding {
    /// The decoder of the CUDA device of this number. Loads the driver at run time.
    ///
    /// # Errors
    /// [`ErrorKind::Resource`] where there is no driver or no such device, or FFmpeg was built without.
    pub fn cuda(number: u32) -> Result<Self> {
        /// `AV_CUDA_USE_PRIMARY_CONTEXT` of libavutil/hwcontext_cuda.h.
        const PRIMARY: i32 = 1;
        let name = std::ffi::CString::new(number.to_string()).unwrap_or_default();
        let mut context = null_mut();
        // SAFETY: `context` is written only where 0 is returned; the name is a C string; no options.
        #[allow(unsafe_code)]
        let made = unsafe {
            ffi::av_hwdevice_ctx_create(
                &raw mut context,
                ffi::AVHWDeviceType::AV_HWDEVICE_TYPE_CUDA,
                name.as_ptr(),
                null_mut(),
                PRIMARY,
            )
        };
        if made < 0 || context.is_null() {
            let why = ffmpeg::Error::from(made);
            let message = format!("GPU {number} cannot decode: {why}");
            return Err(Error::new(ErrorKind::Resource, Stage::Device, message)
                .hint("`rushes doctor` tells whether the driver and FFmpeg's NVDEC are here"));
        }
        Ok(Self { context: Arc::new(Context(context)) })
    }

    /// Has the decoder that `context` is going to be use this GPU where it can.
    pub(super) fn attach(&self, context: &mut codec::Context) -> Result<()> {
        // SAFETY: the context is not opened yet, and both fields are the caller's to set then; the new
        // reference belongs to it from now on.
        #[allow(unsafe_code)]
        unsafe {
            let held = ffi::av_buffer_ref(self.context.0);
            if held.is_null() {
                return Err(libav_error(
                    ffmpeg::Error::Other { errno: ffmpeg::error::ENOMEM },
                    Stage::Decode,
                ));
            }
            let raw = &mut *context.as_mut_ptr();
            raw.hw_device_ctx = held;
            raw.extra_hw_frames = HELD;
        }
        Ok(())
    }
}

/// Whether the picture lies in a GPU's memory.
pub(super) fn is_on_gpu(frame: &frame::Video) -> bool {
    frame.format() == ffmpeg::format::Pixel::CUDA
}

/// The picture in main memory (NV12 or P010), with all that is known of it.
pub(super) fn fetch(frame: &frame::Video) -> Result<frame::Video> {
    let mut fetched = frame::Video::empty();
    // SAFETY: both frames are whole and ours for the time of the call; an empty destination is
    // allocated by the first call, the second copies what is not samples.
    #[allow(unsafe_code)]
    let done = unsafe {
        let done = ffi::av_hwframe_transfer_data(fetched.as_mut_ptr(), frame.as_ptr(), 0);
        if done < 0 { done } else { ffi::av_frame_copy_props(fetched.as_mut_ptr(), frame.as_ptr()) }
    };
    if done < 0 {
        return Err(libav_error(ffmpeg::Error::from(done), Stage::Decode));
    }
    Ok(fetched)
}
