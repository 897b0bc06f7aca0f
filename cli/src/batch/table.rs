//! How a pool gets on, for people: on a terminal a table that is drawn anew, with a line for each device
//! and job that runs and an estimate of when all is done; elsewhere lines as things happen.

use super::pool::Standing;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use rushes::device::show_bytes;
use rushes::text::plain;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

/// Jobs that have a line of their own.
const MOST_ROWS: usize = 24;
/// Devices that have.
const MOST_DEVICES: usize = 12;

/// The table; hidden where nobody would see it.
pub struct Table {
    lines: MultiProgress,
    /// Whether anything is drawn.
    pub drawn: bool,
    all: ProgressBar,
    devices: BTreeMap<String, ProgressBar>,
    jobs: BTreeMap<i64, ProgressBar>,
    began: Instant,
    total: Option<u64>,
    over: u64,
}

impl Table {
    /// A table of `total` jobs, where that is known; not drawn if not `wanted` or standard error is no
    /// terminal.
    pub fn new(wanted: bool, total: Option<u64>) -> Self {
        let drawn = wanted && std::io::stderr().is_terminal();
        let target =
            if drawn { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let lines = MultiProgress::with_draw_target(target);
        let all = lines.add(ProgressBar::new(total.unwrap_or(0) * 1000));
        let template = if total.is_some() { "{bar:24} {percent:>3}%  {msg}" } else { "{msg}" };
        dress(&all, template);
        let (devices, jobs) = (BTreeMap::new(), BTreeMap::new());
        Self { lines, drawn, all, devices, jobs, began: Instant::now(), total, over: 0 }
    }

    /// Writes something else to the terminal, without the table in the way.
    pub fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        if self.drawn { self.lines.suspend(write) } else { write() }
    }

    /// One more job is over; how many are.
    pub fn over(&mut self) -> u64 {
        self.over += 1;
        self.over
    }

    /// How things stand now.
    pub fn show(&mut self, now: &Standing<'_>) {
        let parts: f64 = now.running.iter().filter_map(|job| job.share).sum();
        let done = self.over as f64 + parts;
        self.all.set_position((done * 1000.0) as u64);
        self.all.set_message(head(done, self.over, self.total, now, self.began.elapsed()));
        for device in now.devices.iter().take(MOST_DEVICES) {
            let line = self.devices.entry(device.label.clone()).or_insert_with(|| {
                let line = self.lines.insert_after(&self.all, ProgressBar::new(0));
                dress(&line, "  {msg}");
                line
            });
            let state = match (device.works, device.leases) {
                (false, _) => "LOST".to_owned(),
                (true, n) => format!("{n} jobs"),
            };
            let (promised, memory) = (show_bytes(device.promised), show_bytes(device.memory));
            let label = plain(&device.label);
            line.set_message(format!("{label:32} {state:8} {promised} of {memory}"));
        }
        let running = |id: &i64| now.running.iter().any(|job| job.job.id == *id);
        self.jobs.retain(|id, line| {
            let stays = running(id);
            if !stays {
                line.finish_and_clear();
                self.lines.remove(line);
            }
            stays
        });
        for job in now.running.iter().take(MOST_ROWS) {
            let line = self.jobs.entry(job.job.id).or_insert_with(|| {
                let line = self.lines.add(ProgressBar::new(1000));
                dress(&line, "  {bar:12} {percent:>3}%  {msg}");
                line
            });
            line.set_position((job.share.unwrap_or(0.0) * 1000.0) as u64);
            let media = job.job.message.media.file_name().unwrap_or_default().to_string_lossy();
            let action = job.job.message.action.name();
            let (ran, bytes) = (job.ran.as_secs(), show_bytes(job.bytes));
            let text =
                format!("{action:10} {media}  {}  {ran} s  {bytes}  {}", job.way.name, job.text);
            line.set_message(plain(&text).into_owned());
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        let _ = self.lines.clear();
    }
}

fn dress(line: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        line.set_style(style);
    }
}

/// The line over all: how many are done, and when the rest will be if they go on like that.
fn head(done: f64, over: u64, total: Option<u64>, now: &Standing<'_>, ran: Duration) -> String {
    let counts = format!("{} run, {} next", now.running.len(), now.waiting);
    let Some(total) = total else { return format!("{over} over, {counts}") };
    let left = (total as f64 - done).max(0.0);
    let eta = match done {
        // Of less than one job nothing can be told.
        done if done < 1.0 => "?".to_owned(),
        done => span(Duration::from_secs_f64(ran.as_secs_f64() / done * left)),
    };
    format!("{over} of {total} over, {counts}, {} gone, {eta} left", span(ran))
}

/// A time as people say it: `1h02m`, `3m07s`, `12s`.
fn span(time: Duration) -> String {
    let secs = time.as_secs();
    match (secs / 3600, secs / 60 % 60, secs % 60) {
        (0, 0, s) => format!("{s}s"),
        (0, m, s) => format!("{m}m{s:02}s"),
        (h, m, _) => format!("{h}h{m:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_estimated_from_what_is_done() {
        let now = Standing { running: Vec::new(), devices: Vec::new(), waiting: 2 };
        let text = |done, total| head(done, 5, total, &now, Duration::from_secs(100));
        assert!(text(0.5, Some(10)).ends_with("? left"));
        assert!(text(5.0, Some(10)).ends_with("1m40s gone, 1m40s left"));
        assert_eq!(text(5.0, None), "5 over, 0 run, 2 next");
        assert_eq!(span(Duration::from_secs(3720)), "1h02m");
    }
}
