//! A bar on stderr while one input is worked on: how far, how fast, how long still. Only on a
//! terminal; a log gets no bars.

use crate::batch::child;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rushes::Progress;
use rushes::control::OnProgress;
use rushes::text::plain;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// The bar of one input; gone when dropped.
pub struct Bar(ProgressBar);

impl Bar {
    /// A bar for `input`, number `n` of `count`; hidden where `visible` is false or stderr is no
    /// terminal.
    pub fn new(input: &Path, n: usize, count: usize, visible: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(1000), target(visible));
        Self::dress(bar, input, n, count)
    }

    fn dress(bar: ProgressBar, input: &Path, n: usize, count: usize) -> Self {
        let name = input.file_name().unwrap_or(input.as_os_str()).to_string_lossy();
        let place = if count > 1 { format!("[{n}/{count}] ") } else { String::new() };
        bar.set_prefix(format!("{place}{}", plain(&name)));
        let template = "{prefix} {bar:24} {percent:>3}% {msg} eta {eta}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self(bar)
    }

    /// What the engine calls.
    pub fn callback(&self) -> OnProgress {
        if child::for_worker() {
            return for_worker();
        }
        let bar = self.0.clone();
        Arc::new(move |progress: Progress| {
            if let Some(share) = progress.fraction() {
                bar.set_position((share * 1000.0) as u64);
            }
            bar.set_message(progress.to_string());
        })
    }
}

/// Has the worker that this process does a job for know how it gets on, four times a second at most.
fn for_worker() -> OnProgress {
    const EVERY: Duration = Duration::from_millis(250);
    let told = Mutex::new(None::<Instant>);
    Arc::new(move |progress: Progress| {
        // Whoever finds it locked is not the one to tell.
        let Ok(mut told) = told.try_lock() else { return };
        if told.is_none_or(|told| told.elapsed() >= EVERY) {
            *told = Some(Instant::now());
            child::tell_progress(progress.fraction(), progress.to_string());
        }
    })
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// The bars of several inputs that are worked on at the same time.
pub struct Bars(MultiProgress);

impl Bars {
    /// No bar yet; as in [`Bar::new`].
    pub fn new(visible: bool) -> Self {
        Self(MultiProgress::with_draw_target(target(visible)))
    }

    /// A bar for one more input.
    pub fn add(&self, input: &Path, n: usize, count: usize) -> Bar {
        Bar::dress(self.0.add(ProgressBar::new(1000)), input, n, count)
    }

    /// Does something that writes to the terminal, without the bars in the way.
    pub fn suspend<T>(&self, work: impl FnOnce() -> T) -> T {
        self.0.suspend(work)
    }
}

fn target(visible: bool) -> ProgressDrawTarget {
    if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() }
}
