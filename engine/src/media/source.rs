//! The bytes of an input: one regular file or one pipe, opened by us and handed to libav as a
//! stream, so that libav itself never opens a path or a URL. Counts what is read against the
//! limits, and stays cancellable while a pipe is silent.

use crate::control::Cancel;
use crate::error::{Error, ErrorKind, Result, Stage};
use crate::limits::Limits;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Why the source stopped giving bytes, kept here because libav passes only a number through.
pub(super) type Refusal = Arc<Mutex<Option<Error>>>;

/// What is known of a source once it is open.
#[derive(Clone, Debug)]
pub(super) struct SourceFacts {
    /// Size in bytes; `None` for a pipe.
    pub size: Option<u64>,
    /// Bytes read so far.
    pub read: Arc<AtomicU64>,
    /// The limit or fault that ended reading, if one did.
    pub refusal: Refusal,
}

/// A file or pipe as `Read + Seek`.
pub(super) struct Source {
    file: File,
    pipe: bool,
    position: u64,
    budget: u64,
    silence: Duration,
    cancel: Cancel,
    deadline: Instant,
    facts: SourceFacts,
}

impl Source {
    /// Opens `path`; `-` is the caller's business, not this function's.
    pub(super) fn open(
        path: &Path,
        limits: &Limits,
        cancel: &Cancel,
        deadline: Instant,
    ) -> Result<Self> {
        // Non-blocking, because opening a pipe that nobody writes to would wait for ever.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|e| Error::io(Stage::Open, path, e.into()))?;
        let file = File::from(file);
        let meta = file.metadata().map_err(|e| Error::io(Stage::Open, path, e))?;
        let kind = meta.file_type();
        let refuse = |what: &'static str, hint: &'static str| {
            Err(Error::new(ErrorKind::Input, Stage::Open, what).input(path).hint(hint))
        };
        let pipe = if kind.is_file() {
            false
        } else if kind.is_fifo() {
            true
        } else if kind.is_dir() {
            return refuse("is a folder, not a media file", "name the files in it");
        } else {
            return refuse("is a device or socket, not a media file", "give a file or a pipe");
        };
        let size = (!pipe).then_some(meta.len());
        if size == Some(0) {
            return refuse("the file is empty", "check how it was copied or recorded");
        }
        if size.is_some_and(|size| size > limits.file_bytes) {
            return Err(Limits::exceeded(
                Stage::Open,
                format!("a file of {} bytes", meta.len()),
                format!("{} bytes", limits.file_bytes),
            )
            .input(path));
        }
        Ok(Self {
            file,
            pipe,
            position: 0,
            budget: if pipe { limits.pipe_bytes } else { u64::MAX },
            silence: limits.pipe_silence,
            cancel: cancel.clone(),
            deadline,
            facts: SourceFacts { size, read: Arc::default(), refusal: Arc::default() },
        })
    }

    pub(super) fn facts(&self) -> SourceFacts {
        self.facts.clone()
    }

    pub(super) fn is_pipe(&self) -> bool {
        self.pipe
    }

    fn refuse(&self, error: Error) -> io::Error {
        if let Ok(mut slot) = self.facts.refusal.lock() {
            slot.get_or_insert(error);
        }
        io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
    }

    /// Waits until a pipe has bytes or its writer has gone.
    fn wait(&self) -> io::Result<()> {
        let since = Instant::now();
        loop {
            self.check()?;
            let mut fds = [PollFd::new(&self.file, PollFlags::IN)];
            let tick = rustix::event::Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
            match poll(&mut fds, Some(&tick)) {
                // A hang-up without bytes is an end as well: a pipe that had no writer yet does not
                // report one.
                Ok(ready) if ready > 0 => return Ok(()),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            if since.elapsed() > self.silence {
                return Err(self.refuse(
                    Error::new(
                        ErrorKind::Limit,
                        Stage::Demux,
                        format!("the pipe was silent for {} s", self.silence.as_secs()),
                    )
                    .hint("check the program that writes to it"),
                ));
            }
        }
    }

    fn check(&self) -> io::Result<()> {
        if self.cancel.is_cancelled() {
            return Err(self.refuse(Error::cancelled(Stage::Demux)));
        }
        if Instant::now() > self.deadline {
            return Err(self.refuse(wall_time_over()));
        }
        Ok(())
    }
}

/// The error of an input that took longer than [`Limits::wall`].
pub(super) fn wall_time_over() -> Error {
    Limits::exceeded(
        Stage::Process,
        "the time spent on this input".into(),
        "the wall-time budget".into(),
    )
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.check()?;
        if self.position >= self.budget {
            return Err(self.refuse(Limits::exceeded(
                Stage::Demux,
                "what the pipe gave".into(),
                format!("{} bytes", self.budget),
            )));
        }
        loop {
            if self.pipe {
                self.wait()?;
            }
            match self.file.read(buffer) {
                Ok(n) => {
                    self.position += n as u64;
                    self.facts.read.fetch_add(n as u64, Ordering::Relaxed);
                    return Ok(n);
                }
                Err(e)
                    if matches!(
                        e.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
                    ) =>
                {
                    self.check()?;
                }
                Err(e) => return Err(e),
            }
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        // libav asks for the size through `End(0)`; the answer is known without a system call.
        let target = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.facts.size.and_then(|size| size.checked_add_signed(by)),
        };
        let target = target.ok_or(io::ErrorKind::InvalidInput)?;
        if target != self.position {
            self.file.seek(SeekFrom::Start(target))?;
            self.position = target;
        }
        Ok(target)
    }
}
