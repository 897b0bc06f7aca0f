//! One reading of an input: demuxed and decoded once, for all who want frames or sound of it.
//!
//! Threads: the caller's demuxes; one decodes sound; `threads` decode pictures and run the
//! consumers. Between them stand queues bounded in bytes, so a slow consumer holds the demuxer
//! back. Pictures are decoded in one of two ways. In groups: each group of pictures that holds a
//! wanted one goes to a decoder of its own, one thread each, and only as much of it is decoded
//! as is wanted. In sequence: one decoder with frame threads reads everything; for all frames,
//! for deinterlacing, and for streams without timestamps to plan by.

use super::coded::CodedGroup;
use super::failure::Failure;
use super::frame::StreamLook;
use super::groups::Groups;
use super::hwaccel::{self, HardwareDecoding};
use super::info::{MediaInfo, StreamInfo, StreamKind};
use super::input::{Input, Want};
use super::picture::PictureConverter;
use super::queue::{AbortOnDrop, ByteQueue};
use super::report::{Notice, ReadReport, SoundReport, Tally};
use super::select::{FramePolicy, Precision, Schedule, StreamClock, Target};
use super::sequence::Sequence;
use super::sound::{SoundFormat, SoundPath, SoundSink};
use super::{VideoFrame, allow, decoder, probe};
use crate::control::{Cancel, OnProgress, Progress};
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use crate::time::Timestamp;
use ffmpeg::{Packet, Rational, codec};
use ffmpeg_next as ffmpeg;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// A wanted frame, found.
pub struct Picked<'a> {
    /// Its number within the request, from 0, in order of time.
    pub n: u64,
    /// The time that was asked for, where one was.
    pub wanted: Option<Timestamp>,
    /// The frame shown then.
    pub frame: &'a VideoFrame,
}

/// Takes the frames of one request, on several threads and in no set order.
pub trait FrameSink: Sync {
    /// The next frame; `converter` is the calling thread's.
    ///
    /// # Errors
    /// An error ends the whole reading.
    fn frame(&self, picked: Picked<'_>, converter: &mut PictureConverter) -> Result<()>;
}

/// Chooses what is decoded of the main video stream, group by group, by what a packet says of
/// itself and by the keyframes.
///
/// Where a stream can be cut into groups, every group comes to [`GroupJudge::group`], on several
/// threads, begun in order of time. Otherwise, and where somebody else wants every frame anyway,
/// each frame comes to [`GroupJudge::frame`].
pub trait GroupJudge: Sync {
    /// A group of pictures. What it decodes serves the requests for frames as well.
    ///
    /// # Errors
    /// An error ends the whole reading.
    fn group(&self, group: &mut CodedGroup<'_, '_>) -> Result<()>;

    /// Every frame, in no set order; `n` counts them from 0 in order of time.
    ///
    /// # Errors
    /// An error ends the whole reading.
    fn frame(&self, n: u64, frame: &VideoFrame, converter: &mut PictureConverter) -> Result<()>;
}

struct FrameRequest<'a> {
    policy: FramePolicy,
    precision: Precision,
    sink: &'a dyn FrameSink,
}

struct SoundRequest<'a> {
    format: SoundFormat,
    sink: &'a mut dyn SoundSink,
}

/// A reading being set up: open, look at [`Self::info`], say what is wanted, run.
pub struct Reading<'a> {
    input: Input,
    info: MediaInfo,
    limits: Limits,
    cancel: Cancel,
    threads: NonZeroUsize,
    deinterlace: bool,
    hardware: Option<HardwareDecoding>,
    /// Streams asked for by index.
    video: Option<usize>,
    audio: Option<usize>,
    frames: Vec<FrameRequest<'a>>,
    sound: Vec<SoundRequest<'a>>,
    judge: Option<&'a dyn GroupJudge>,
    progress: Option<OnProgress>,
}

impl<'a> Reading<'a> {
    /// Opens `path`.
    ///
    /// # Errors
    /// As [`probe()`](crate::media::probe()).
    pub fn open(path: &Path, limits: &Limits, cancel: &Cancel) -> Result<Self> {
        let mut input = Input::open(path, limits, cancel)?;
        let info = probe::describe(&mut input);
        Ok(Self {
            input,
            info,
            limits: limits.clone(),
            cancel: cancel.clone(),
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            deinterlace: false,
            hardware: None,
            video: None,
            audio: None,
            frames: Vec::new(),
            sound: Vec::new(),
            judge: None,
            progress: None,
        })
    }

    /// What the input is made of.
    pub fn info(&self) -> &MediaInfo {
        &self.info
    }

    /// How many threads decode pictures. Default: one per core.
    #[must_use]
    pub fn threads(mut self, threads: NonZeroUsize) -> Self {
        self.threads = threads.min(NonZeroUsize::new(64).unwrap_or(threads));
        self
    }

    /// Has pictures decoded on a GPU, where it can decode them and so many are that it is worth its
    /// start. What a [`GroupJudge`] leaves out stays on the processors: few pictures of many groups.
    #[must_use]
    pub fn hardware(mut self, hardware: Option<HardwareDecoding>) -> Self {
        self.hardware = hardware;
        self
    }

    /// Whether interlaced pictures are made whole (bwdif). Reads every picture.
    #[must_use]
    pub fn deinterlace(mut self, deinterlace: bool) -> Self {
        self.deinterlace = deinterlace;
        self
    }

    /// Asks for frames of the main video stream.
    #[must_use]
    pub fn frames(
        mut self,
        policy: FramePolicy,
        precision: Precision,
        sink: &'a dyn FrameSink,
    ) -> Self {
        self.frames.push(FrameRequest { policy, precision, sink });
        self
    }

    /// Asks for the sound of the main audio stream.
    #[must_use]
    pub fn sound(mut self, format: SoundFormat, sink: &'a mut dyn SoundSink) -> Self {
        self.sound.push(SoundRequest { format, sink });
        self
    }

    /// Has `judge` choose what it needs of the main video stream. One judge to a reading.
    #[must_use]
    pub fn judge(mut self, judge: &'a dyn GroupJudge) -> Self {
        self.judge = Some(judge);
        self
    }

    /// Takes the frames of this stream (its index in [`MediaInfo::streams`]) instead of the main
    /// video stream's.
    #[must_use]
    pub fn video_stream(mut self, index: usize) -> Self {
        self.video = Some(index);
        self
    }

    /// Takes the sound of this stream instead of the main audio stream's.
    #[must_use]
    pub fn audio_stream(mut self, index: usize) -> Self {
        self.audio = Some(index);
        self
    }

    /// Has progress reported, about ten times a second.
    #[must_use]
    pub fn on_progress(mut self, progress: OnProgress) -> Self {
        self.progress = Some(progress);
        self
    }

    /// Reads the input once and serves every request.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] if a wanted stream is missing or nothing of it can be decoded, or a
    /// time asked for lies past the end; [`ErrorKind::Limit`], [`ErrorKind::Cancelled`]; whatever
    /// a consumer returns. Damage short of that is reported in [`ReadReport::notices`].
    pub fn run(mut self) -> Result<ReadReport> {
        let path = self.input.path().to_path_buf();
        let tally = Tally::default();
        let frames = std::mem::take(&mut self.frames);
        let sound = std::mem::take(&mut self.sound);
        self.read(&frames, sound, &tally).map_err(|e| e.input(&path))
    }

    fn read(
        mut self,
        frames: &[FrameRequest<'_>],
        sound: Vec<SoundRequest<'_>>,
        tally: &Tally,
    ) -> Result<ReadReport> {
        let no_pictures = frames.is_empty() && self.judge.is_none();
        let video = if no_pictures { None } else { Some(self.video_plan(frames)?) };
        let audio = if sound.is_empty() { None } else { Some(self.audio_plan()?) };
        let audio_index = audio.as_ref().map(|a| a.index);
        let keys_only = self.judge.is_none()
            && video.as_ref().is_some_and(|v| !v.in_sequence && v.schedule.keys_suffice());
        let video_index = video.as_ref().map(|v| v.index);
        let worth = self.judge.is_none()
            && !keys_only
            && video.as_ref().is_some_and(|plan| self.worth_a_gpu(plan));
        self.input.want(|index| match index {
            _ if Some(index) == video_index && keys_only => Want::Keyframes,
            _ if Some(index) == video_index || Some(index) == audio_index => Want::Everything,
            _ => Want::Nothing,
        });

        let failure = Failure::new(&self.cancel, self.input.deadline());
        let sound_queue = ByteQueue::new(self.limits.in_flight_bytes / 4);
        let mut report = ReadReport::default();
        std::thread::scope(|scope| -> Result<()> {
            let sound_thread = audio.map(|stream| {
                let (queue, failure, limits) = (&sound_queue, &failure, &self.limits);
                scope.spawn(move || {
                    let _abort = AbortOnDrop(queue);
                    failure.catch(|| decode_sound(stream, sound, queue, tally, failure, limits))
                })
            });
            let demuxed = {
                let mut demux = Demux {
                    input: &mut self.input,
                    audio: audio_index.map(|index| (index, &sound_queue)),
                    failure: &failure,
                    limits: &self.limits,
                    progress: Ticker::new(self.progress.take(), self.info.duration, tally),
                    clock: StreamClock {
                        base: crate::time::TimeBase::MICROS,
                        origin: self.info.origin,
                    },
                };
                failure.catch(|| match video {
                    None => demux.sound_only(),
                    Some(plan) => {
                        let context = VideoContext {
                            hardware: self.hardware.as_ref().filter(|_| worth),
                            limits: &self.limits,
                            threads: self.threads,
                            deinterlace: self.deinterlace,
                            failure: &failure,
                            tally,
                            requests: frames,
                            judge: self.judge,
                            bytes: self.info.bytes,
                        };
                        if plan.in_sequence {
                            Sequence::new(plan, context).run(&mut demux)
                        } else {
                            Groups::new(plan, context).run(&mut demux)
                        }
                    }
                })
            };
            sound_queue.close();
            if let Some(thread) = sound_thread {
                report.sound = thread.join().ok().flatten().unwrap_or_default();
            }
            let counts = demuxed.unwrap_or_default();
            report.packets = counts.packets;
            report.seeks = counts.seeks;
            Ok(())
        })?;
        failure.into_result()?;

        report.frames_decoded = tally.frames_decoded.load(Ordering::Relaxed);
        report.frames_given = tally.frames_given.load(Ordering::Relaxed);
        report.bytes_read = self.input.bytes_read();
        report.notices = tally.notices(self.deinterlace);
        let damaged = self.input.damaged_packets();
        if damaged > 0 {
            report.notices.push(Notice::DamagedPackets { count: damaged });
        }
        let pictures = if frames.is_empty() { report.frames_decoded } else { report.frames_given };
        if !no_pictures && pictures == 0 {
            return Err(Error::new(ErrorKind::Input, Stage::Decode, "no picture could be decoded")
                .hint("the file is damaged, cut off before its first keyframe, or encrypted"));
        }
        if audio_index.is_some() && no_pictures && report.sound.iter().all(|s| s.samples == 0) {
            return Err(Error::new(ErrorKind::Input, Stage::Decode, "no sound could be decoded")
                .hint("the file is damaged, cut off or encrypted"));
        }
        if let Some(stated) = self.stated_end([video_index, audio_index]).filter(|_| !keys_only) {
            let slack = stated.times(1, 50).max(Timestamp::from_secs(1));
            if let Some(at) = tally.ended_at().filter(|at| at.plus(slack) < stated) {
                report.notices.push(Notice::EndsEarly { at, stated });
            }
        }
        Ok(report)
    }

    /// Whether so much is going to be decoded that a GPU is worth its start.
    fn worth_a_gpu(&self, plan: &VideoPlan) -> bool {
        let size = match self.info.streams.get(plan.index).map(|stream| &stream.kind) {
            Some(StreamKind::Video(video)) => u64::from(video.width) * u64::from(video.height),
            _ => return false,
        };
        let start = plan.clock.tick(plan.start);
        let pictures = plan.end.map_or(0, |end| end.saturating_sub(start) / plan.step());
        !self.deinterlace
            && u64::try_from(pictures).unwrap_or(0).saturating_mul(size) >= hwaccel::WORTH_PIXELS
    }

    /// Where the streams that are read end by the container's word.
    fn stated_end(&self, read: [Option<usize>; 2]) -> Option<Timestamp> {
        let ends = read.into_iter().flatten().filter_map(|index| {
            let stream = self.info.streams.get(index)?;
            Some(stream.start.unwrap_or(Timestamp::ZERO).plus(stream.duration?))
        });
        ends.max().or(self.info.duration)
    }

    fn video_plan(&self, frames: &[FrameRequest<'_>]) -> Result<VideoPlan> {
        let missing = || {
            Error::new(ErrorKind::Input, Stage::Decode, "holds no moving pictures")
                .hint("sound-only files have no frames to extract")
        };
        let chosen = self.video.map_or_else(|| self.info.video(), |i| self.info.streams.get(i));
        let stream = chosen.ok_or_else(missing)?;
        let StreamKind::Video(video) = &stream.kind else { return Err(missing()) };
        let index = stream.index;
        let parameters = self.input.parameters(index).ok_or_else(missing)?;
        let clock = StreamClock { base: self.input.time_base(index), origin: self.info.origin };
        let start = stream.start.unwrap_or(Timestamp::ZERO);
        let requests = frames.iter().map(|r| (&r.policy, r.precision));
        let length = length(&self.info, stream);
        let mut schedule = Schedule::new(requests, clock, start, length)?;
        let format = &self.info.container;
        // Raw streams have no timestamps, and AVI none for presentation, so with reordering the
        // order of display is known only by decoding it all.
        let unplannable = allow::is_elementary(format) || (format == "avi" && video.reorder > 0);
        let in_sequence = schedule.wants_all() || self.deinterlace || unplannable;
        if in_sequence && self.judge.is_some() {
            schedule.add_all();
        }
        let aspect = video
            .sample_aspect
            .split_once(':')
            .and_then(|(n, d)| Some(Rational(n.parse().ok()?, d.parse().ok()?)));
        Ok(VideoPlan {
            index,
            parameters,
            clock,
            schedule,
            start,
            end: length.map(|length| clock.tick(start.plus(length))),
            in_sequence,
            untimed: unplannable,
            rate: self.input.context().stream(index).map(|s| s.avg_frame_rate()),
            look: StreamLook {
                rotation: video.rotation,
                mirrored: video.mirrored,
                aspect: aspect.filter(|a| *a != Rational(1, 1)),
            },
        })
    }

    fn audio_plan(&self) -> Result<AudioStream> {
        let missing = || {
            Error::new(ErrorKind::Input, Stage::Decode, "holds no sound")
                .hint("ask for its frames only, or give another file")
        };
        let chosen = self.audio.map_or_else(|| self.info.audio(), |i| self.info.streams.get(i));
        let is_sound = |s: &&StreamInfo| matches!(s.kind, StreamKind::Audio(_));
        let stream = chosen.filter(is_sound).ok_or_else(missing)?;
        Ok(AudioStream {
            index: stream.index,
            parameters: self.input.parameters(stream.index).ok_or_else(missing)?,
            clock: StreamClock {
                base: self.input.time_base(stream.index),
                origin: self.info.origin,
            },
        })
    }
}

/// Length of the pictures: by the stream, else by the container.
fn length(info: &MediaInfo, stream: &StreamInfo) -> Option<Timestamp> {
    let start = stream.start.unwrap_or(Timestamp::ZERO);
    stream
        .duration
        .filter(|d| *d > Timestamp::ZERO)
        .or_else(|| info.duration.map(|d| d.minus(start)))
}

/// What decoding the pictures needs.
pub(super) struct VideoPlan {
    pub index: usize,
    pub parameters: codec::Parameters,
    pub clock: StreamClock,
    pub schedule: Schedule,
    /// Where the pictures start on the media clock.
    pub start: Timestamp,
    /// Where the pictures end by the container's word, in ticks.
    pub end: Option<i64>,
    pub in_sequence: bool,
    /// Whether the container holds no presentation times, so that pictures carry decode times,
    /// which are late by what the decoder held back.
    pub untimed: bool,
    pub rate: Option<Rational>,
    pub look: StreamLook,
}

impl VideoPlan {
    /// Ticks from one picture to the next at the stated rate; 25 a second where there is none.
    pub(super) fn step(&self) -> i64 {
        let base = self.clock.base;
        let rate = self.rate.map(f64::from).filter(|rate| *rate > 0.0).unwrap_or(25.0);
        (f64::from(base.den()) / f64::from(base.num()) / rate).round().max(1.0) as i64
    }
}

struct AudioStream {
    index: usize,
    parameters: codec::Parameters,
    clock: StreamClock,
}

/// What the threads of the picture path share.
#[derive(Clone, Copy)]
pub(super) struct VideoContext<'a> {
    pub hardware: Option<&'a HardwareDecoding>,
    pub limits: &'a Limits,
    pub threads: NonZeroUsize,
    pub deinterlace: bool,
    pub failure: &'a Failure,
    pub tally: &'a Tally,
    requests: &'a [FrameRequest<'a>],
    pub judge: Option<&'a dyn GroupJudge>,
    bytes: Option<u64>,
}

impl VideoContext<'_> {
    /// Hands a found frame to its consumer.
    pub(super) fn give(
        &self,
        target: Target,
        frame: &VideoFrame,
        converter: &mut PictureConverter,
    ) -> Result<()> {
        self.failure.check()?;
        let fetched = frame.fetched()?;
        let frame = fetched.as_ref().unwrap_or(frame);
        if let Some(judge) = self.judge.filter(|_| target.request == self.requests.len()) {
            return judge.frame(target.n, frame, converter);
        }
        let given = self.tally.frames_given.fetch_add(1, Ordering::Relaxed) + 1;
        if given > self.limits.frames_out {
            return Err(Limits::exceeded(
                Stage::Decode,
                "the number of frames".into(),
                self.limits.frames_out.to_string(),
            ));
        }
        match self.requests.get(target.request) {
            Some(request) => {
                request.sink.frame(Picked { n: target.n, wanted: target.wanted, frame }, converter)
            }
            None => Ok(()),
        }
    }

    /// Counts a decoded picture against the limits.
    pub(super) fn count(&self, width: u32, height: u32) -> Result<()> {
        self.tally.frames_decoded.fetch_add(1, Ordering::Relaxed);
        let area = u64::from(width) * u64::from(height);
        let pixels = self.tally.pixels.fetch_add(area, Ordering::Relaxed) + area;
        self.limits.check_decoded(
            pixels,
            self.bytes.unwrap_or(u64::MAX / self.limits.pixels_per_byte.max(1)),
        )
    }
}

/// Packets read and seeks made on the picture path.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DemuxCounts {
    pub packets: u64,
    pub seeks: u64,
}

/// The demuxer's side: gives video packets to the caller and sends sound on its way.
pub(super) struct Demux<'a> {
    pub input: &'a mut Input,
    audio: Option<(usize, &'a ByteQueue<Packet>)>,
    failure: &'a Failure,
    limits: &'a Limits,
    progress: Ticker<'a>,
    clock: StreamClock,
}

impl Demux<'_> {
    /// Whether sound is wanted, so that nothing may be seeked over.
    pub(super) fn needs_everything(&self) -> bool {
        self.audio.is_some()
    }

    /// The next packet of stream `video`; sound packets are queued on the way.
    pub(super) fn next_video(&mut self, video: usize) -> Result<Option<Packet>> {
        loop {
            self.failure.check()?;
            let Some(packet) = self.input.read()? else {
                self.progress.tally.end();
                return Ok(None);
            };
            let base = self.input.time_base(packet.stream());
            if let Some(tick) = packet.pts().or(packet.dts()) {
                let time = Timestamp::new(tick, base).minus(self.clock.origin);
                // A damaged timestamp can lie days ahead; nothing is to be made up until there.
                self.limits.check_duration(Stage::Demux, time)?;
                self.progress.tally.reach(time);
                self.progress.at(time);
            }
            match self.audio {
                Some((index, queue)) if packet.stream() == index => {
                    // A closed queue means that the sound thread has failed; `failure` says why.
                    let _ = queue.push(packet.size() as u64 + 256, packet);
                }
                _ if packet.stream() == video => return Ok(Some(packet)),
                _ => {}
            }
        }
    }

    fn sound_only(&mut self) -> Result<DemuxCounts> {
        while self.next_video(usize::MAX)?.is_some() {}
        Ok(DemuxCounts::default())
    }

    /// Reads on for sound only, once no more pictures are wanted.
    pub(super) fn finish_sound(&mut self) -> Result<()> {
        if let Some((audio, _)) = self.audio {
            self.input.want(|index| if index == audio { Want::Everything } else { Want::Nothing });
            while self.next_video(usize::MAX)?.is_some() {}
        }
        Ok(())
    }
}

fn decode_sound(
    stream: AudioStream,
    requests: Vec<SoundRequest<'_>>,
    queue: &ByteQueue<Packet>,
    tally: &Tally,
    failure: &Failure,
    limits: &Limits,
) -> Result<Vec<SoundReport>> {
    let mut decoder =
        decoder::Decoder::open(stream.parameters, stream.clock.base, NonZeroUsize::MIN, limits)?;
    let mut paths: Vec<_> =
        requests.into_iter().map(|r| (SoundPath::new(r.format, stream.clock), r.sink)).collect();
    let mut pump = |decoder: &mut decoder::Decoder| -> Result<()> {
        while let decoder::Step::Frame(frame) = decoder.receive_audio()? {
            for (path, sink) in &mut paths {
                path.frame(&frame, *sink)?;
            }
        }
        Ok(())
    };
    while let Some(packet) = queue.pop() {
        failure.check()?;
        decoder.send(&packet)?;
        pump(&mut decoder)?;
    }
    failure.check()?;
    decoder.drain()?;
    pump(&mut decoder)?;
    tally.undecodable.fetch_add(decoder.damaged(), Ordering::Relaxed);
    paths
        .into_iter()
        .map(|(mut path, sink)| {
            path.finish(sink)?;
            Ok(SoundReport {
                shape: path.shape(),
                samples: path.written(),
                splices: path.splices().to_vec(),
            })
        })
        .collect()
}

/// Reports progress now and then.
struct Ticker<'a> {
    callback: Option<OnProgress>,
    total: Option<Timestamp>,
    tally: &'a Tally,
    last: Instant,
}

impl<'a> Ticker<'a> {
    fn new(callback: Option<OnProgress>, total: Option<Timestamp>, tally: &'a Tally) -> Self {
        Self { callback, total, tally, last: Instant::now() }
    }

    fn at(&mut self, at: Timestamp) {
        const STEP: Duration = Duration::from_millis(100);
        if let Some(callback) = &self.callback
            && self.last.elapsed() >= STEP
        {
            self.last = Instant::now();
            let frames = self.tally.frames_given.load(Ordering::Relaxed);
            callback(Progress { at, total: self.total, frames, bytes: 0 });
        }
    }
}
