//! A bar on stderr while one input is worked on: how far, how fast, how long still. Only on a
//! terminal; a log gets no bars.

use crate::batch::child;
use indicatif::{HumanDuration, MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
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
        self.callback_among(None)
    }

    /// As [`Bar::callback`], for one of several inputs: how far all of them are is told as well.
    pub fn callback_among(&self, all: Option<All>) -> OnProgress {
        if child::for_worker() {
            return for_worker();
        }
        let bar = self.0.clone();
        Arc::new(move |progress: Progress| {
            let share = progress.fraction();
            if let Some(share) = share {
                bar.set_position((share * 1000.0) as u64);
            }
            let all = all.as_ref().map_or_else(String::new, |all| all.told(share.unwrap_or(0.0)));
            let seconds = bar.elapsed().as_secs_f64();
            let pace = match progress.frames {
                frames if frames > 0 && seconds > 0.5 => {
                    format!(", {:.0} fps", frames as f64 / seconds)
                }
                _ => String::new(),
            };
            bar.set_message(format!("{progress}{pace}{all}"));
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

/// How far a run over several inputs is, judged by their bytes.
#[derive(Clone, Debug)]
pub struct All {
    total: u64,
    /// Bytes of the inputs that are done.
    done: u64,
    /// Bytes of the one that is worked on.
    now: u64,
    began: Instant,
    /// Bytes and time of those that took work: one that was done before tells nothing of the others.
    worked: (u64, Duration),
}

impl All {
    /// What takes less was done before.
    const NOTHING: Duration = Duration::from_millis(200);

    /// A run over inputs of so many bytes in all.
    pub fn new(total: u64) -> Self {
        let (began, worked) = (Instant::now(), (0, Duration::ZERO));
        Self { total, done: 0, now: 0, began, worked }
    }

    /// The next input, of so many bytes, is begun.
    pub fn begin(&mut self, bytes: u64) {
        (self.now, self.began) = (bytes, Instant::now());
    }

    /// It is done.
    pub fn end(&mut self) {
        let took = self.began.elapsed();
        if took >= Self::NOTHING {
            self.worked = (self.worked.0 + self.now, self.worked.1 + took);
        }
        (self.done, self.now) = (self.done + self.now, 0);
    }

    fn told(&self, share: f64) -> String {
        let done = self.done as f64 + share * self.now as f64;
        let percent = 100.0 * done / self.total.max(1) as f64;
        match self.left(share, self.began.elapsed()) {
            Some(left) => format!(" | all {percent:.0}% eta {}", HumanDuration(left)),
            None => format!(" | all {percent:.0}%"),
        }
    }

    /// How long the rest takes if it goes on as it went, where the present input is done to `share`
    /// after `took`.
    fn left(&self, share: f64, took: Duration) -> Option<Duration> {
        let now = share * self.now as f64;
        let bytes = self.worked.0 as f64 + now;
        let rest = (self.total as f64 - self.done as f64 - now).max(0.0);
        let seconds = (self.worked.1 + took).as_secs_f64() * rest / bytes;
        (bytes > 0.0 && seconds.is_finite()).then(|| Duration::from_secs_f64(seconds.min(1e9)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_is_judged_by_what_took_work() {
        let mut all = All::new(1000);
        all.begin(100);
        assert_eq!(all.left(0.0, Duration::from_secs(1)), None);
        assert_eq!(all.left(0.5, Duration::from_secs(5)), Some(Duration::from_secs(95)));
        // Done before: it took no time.
        all.end();
        assert_eq!((all.done, all.worked.0), (100, 0));
        all.worked = (100, Duration::from_secs(10));
        all.begin(100);
        assert_eq!(all.left(0.0, Duration::ZERO), Some(Duration::from_secs(90)));
        assert!(all.told(0.5).starts_with(" | all 15% eta"), "{}", all.told(0.5));
    }
}
