//! Makes whole pictures of interlaced ones with libavfilter's bwdif (Bob Weaver, after the BBC's
//! w3fdif and yadif). Pictures that are not marked as interlaced pass unchanged.

use super::input::libav_error;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::time::TimeBase;
use ffmpeg::{Rational, Rescale as _, filter, frame};
use ffmpeg_next as ffmpeg;

/// A filter chain for one shape of picture; made anew when the shape changes.
pub(super) struct Deinterlacer {
    base: TimeBase,
    chain: Option<(Shape, filter::Graph)>,
}

type Shape = (u32, u32, i32);

impl Deinterlacer {
    pub(super) fn new(base: TimeBase) -> Self {
        Self { base, chain: None }
    }

    /// Takes a decoded picture, gives those that are ready.
    pub(super) fn push(&mut self, mut picture: frame::Video) -> Result<Vec<frame::Video>> {
        // SAFETY: the frame is valid for the borrow; a plain field is read.
        #[allow(unsafe_code)]
        let format = unsafe { (*picture.as_ptr()).format };
        let shape = (picture.width(), picture.height(), format);
        let mut ready = Vec::new();
        if self.chain.as_ref().is_none_or(|(made_for, _)| *made_for != shape) {
            ready = self.finish()?;
            self.chain = Some((shape, chain(shape, picture.aspect_ratio(), self.base)?));
        }
        let timestamp = picture.timestamp();
        picture.set_pts(timestamp);
        if let Some((_, graph)) = &mut self.chain {
            let mut source = graph.get("in").ok_or_else(missing)?;
            source.source().add(&picture).map_err(failed)?;
            take(graph, self.base, &mut ready)?;
        }
        Ok(ready)
    }

    /// Gives the pictures that are still held.
    pub(super) fn finish(&mut self) -> Result<Vec<frame::Video>> {
        let mut ready = Vec::new();
        if let Some((_, mut graph)) = self.chain.take() {
            graph.get("in").ok_or_else(missing)?.source().flush().map_err(failed)?;
            take(&mut graph, self.base, &mut ready)?;
        }
        Ok(ready)
    }
}

fn take(graph: &mut filter::Graph, base: TimeBase, ready: &mut Vec<frame::Video>) -> Result<()> {
    let ticks = Rational(base.num().cast_signed(), base.den().cast_signed());
    loop {
        let mut picture = frame::Video::empty();
        let mut context = graph.get("out").ok_or_else(missing)?;
        let mut sink = context.sink();
        if sink.frame(&mut picture).is_err() {
            return Ok(());
        }
        // bwdif counts in half ticks, for fields, even where it gives whole frames.
        let pts = picture.pts().map(|pts| pts.rescale(sink.time_base(), ticks));
        picture.set_pts(pts);
        // The filter keeps pts only.
        // SAFETY: the frame is ours; a plain field is written.
        #[allow(unsafe_code)]
        unsafe {
            (*picture.as_mut_ptr()).best_effort_timestamp = (*picture.as_ptr()).pts;
        }
        ready.push(picture);
    }
}

/// buffer → bwdif → buffersink. Only numbers are written into its arguments.
fn chain(
    (width, height, format): Shape,
    aspect: Rational,
    base: TimeBase,
) -> Result<filter::Graph> {
    let find = |name: &str| filter::find(name).ok_or_else(missing);
    let mut graph = filter::Graph::new();
    let aspect =
        if aspect.numerator() > 0 && aspect.denominator() > 0 { aspect } else { Rational(1, 1) };
    let shape = format!(
        "video_size={width}x{height}:pix_fmt={format}:time_base={}/{}:pixel_aspect={}/{}",
        base.num(),
        base.den(),
        aspect.numerator(),
        aspect.denominator()
    );
    graph.add(&find("buffer")?, "in", &shape).map_err(failed)?;
    graph.add(&find("buffersink")?, "out", "").map_err(failed)?;
    graph
        .output("in", 0)
        .and_then(|parser| parser.input("out", 0))
        .and_then(|parser| parser.parse("bwdif=mode=send_frame:deint=interlaced"))
        .map_err(failed)?;
    graph.validate().map_err(failed)?;
    Ok(graph)
}

fn failed(error: ffmpeg::Error) -> Error {
    libav_error(error, Stage::Convert)
}

fn missing() -> Error {
    Error::new(ErrorKind::Unsupported, Stage::Convert, "this FFmpeg lacks the bwdif filter")
        .hint("install a full build of FFmpeg, or leave the pictures interlaced")
}
