//! A batch as a page that needs nothing but itself.

use rushes::device::show_bytes;
use rushes::jobs::{Effort, JobRow, JobState, Prices, Way};
use rushes::text::html::{escape, file_url};
use std::fmt::Write;

/// What the page tells.
pub struct Report<'a> {
    pub batch: &'a str,
    pub jobs: &'a [JobRow],
    /// Everything that was spent on the batch, by tenant.
    pub by_tenant: &'a [Effort],
    /// How long stages took.
    pub by_stage: &'a [Effort],
    pub prices: &'a Prices,
    pub not_begun: Option<&'a str>,
    pub wall_s: f64,
}

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
    table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.25rem .6rem;\
    border-bottom:1px solid #8884;vertical-align:top}td.n,th.n{text-align:right;\
    font-variant-numeric:tabular-nums;white-space:nowrap}td.m{overflow-wrap:anywhere}\
    .failed,.dead,.cancelled{color:#b00020}.ready,.running{color:#8a6d00}.done{color:#1b6e3c}\
    @media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}a{color:#8ab4f8}\
    .failed,.dead,.cancelled{color:#ff8a80}.done{color:#81c995}.ready,.running{color:#fdd663}}";

impl Report<'_> {
    /// The page.
    pub fn page(&self) -> String {
        let mut page = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut page);
        page
    }

    fn write(&self, out: &mut String) -> std::fmt::Result {
        let title = format!("Batch {}", escape(self.batch));
        write!(
            out,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
        )?;
        let states = [
            JobState::Done,
            JobState::Failed,
            JobState::Dead,
            JobState::Cancelled,
            JobState::Running,
            JobState::Ready,
        ];
        let counted: Vec<String> = states
            .iter()
            .filter_map(|state| {
                let n = self.jobs.iter().filter(|job| job.state == *state).count();
                let word = state.as_str();
                (n > 0).then(|| format!("<span class=\"{word}\">{n} {word}</span>"))
            })
            .collect();
        writeln!(
            out,
            "<p>{} jobs: {}. This run took {:.1} s.</p>",
            self.jobs.len(),
            counted.join(", "),
            self.wall_s
        )?;
        if let Some(why) = self.not_begun {
            writeln!(out, "<p class=\"failed\">Not begun: {}.</p>", escape(why))?;
        }
        self.efforts(out)?;
        self.stages(out)?;
        self.jobs(out)?;
        writeln!(out, "</body></html>")
    }

    fn efforts(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "<h2>Effort</h2>\n<table><tr><th>tenant</th><th class=\"n\">attempts</th>\
             <th class=\"n\">CPU-s</th><th class=\"n\">GPU-s</th><th class=\"n\">most memory</th>\
             <th class=\"n\">read</th><th class=\"n\">written</th><th class=\"n\">energy</th>\
             <th class=\"n\">money</th></tr>"
        )?;
        for effort in self.by_tenant {
            let cost = &effort.cost;
            let name = if effort.name.is_empty() { "-" } else { &effort.name };
            writeln!(
                out,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td>\
                 <td class=\"n\">{:.1}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                escape(name),
                effort.attempts,
                cost.cpu_ms as f64 / 1e3,
                cost.gpu_ms as f64 / 1e3,
                show_bytes(cost.peak_bytes),
                show_bytes(cost.bytes_in),
                show_bytes(cost.bytes_out),
                joules(cost.energy_mj),
                escape(&self.prices.show(self.prices.of(cost))),
            )?;
        }
        writeln!(out, "</table>")
    }

    fn stages(&self, out: &mut String) -> std::fmt::Result {
        if self.by_stage.is_empty() {
            return Ok(());
        }
        writeln!(
            out,
            "<h2>Stages</h2>\n<table><tr><th>stage</th><th class=\"n\">times</th>\
             <th class=\"n\">s</th></tr>"
        )?;
        for stage in self.by_stage {
            writeln!(
                out,
                "<tr><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td></tr>",
                escape(&stage.name),
                stage.attempts,
                stage.cost.wall_ms as f64 / 1e3
            )?;
        }
        writeln!(out, "</table>")
    }

    fn jobs(&self, out: &mut String) -> std::fmt::Result {
        writeln!(
            out,
            "<h2>Jobs</h2>\n<table><tr><th>state</th><th>media</th><th>action</th>\
             <th class=\"n\">tries</th><th class=\"n\">s</th><th class=\"n\">CPU-s</th>\
             <th class=\"n\">GPU-s</th><th class=\"n\">memory</th><th class=\"n\">money</th>\
             <th>where</th></tr>"
        )?;
        // What went wrong comes first.
        let mut jobs: Vec<&JobRow> = self.jobs.iter().collect();
        jobs.sort_by_key(|job| (job.state == JobState::Done, job.id));
        for job in jobs {
            let word = job.state.as_str();
            let error = job.error.as_deref().filter(|_| job.state != JobState::Done);
            let error = error.map_or(String::new(), |error| format!("<br>{}", escape(error)));
            writeln!(
                out,
                "<tr><td class=\"{word}\">{word}</td><td class=\"m\"><a href=\"{}\">{}</a>{error}</td>\
                 <td>{}</td><td class=\"n\">{}</td><td class=\"n\">{:.1}</td><td class=\"n\">{:.1}</td>\
                 <td class=\"n\">{:.1}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td>{}</td></tr>",
                file_url(&job.message.media),
                escape(&job.message.media.to_string_lossy()),
                job.message.action.name(),
                job.attempts,
                job.cost.wall_ms as f64 / 1e3,
                job.cost.cpu_ms as f64 / 1e3,
                job.cost.gpu_ms as f64 / 1e3,
                show_bytes(job.cost.peak_bytes),
                escape(&self.prices.show(self.prices.of(&job.cost))),
                escape(&job.way.as_ref().map(place).unwrap_or_default()),
            )?;
        }
        writeln!(out, "</table>")
    }
}

/// Where a job ran, and why there.
fn place(way: &Way) -> String {
    let because = way.because.as_ref().map_or(String::new(), |why| format!(": {why}"));
    match way.name == way.device {
        true => format!("{}{because}", way.name),
        false => format!("{} on {}{because}", way.name, way.device),
    }
}

fn joules(millijoules: u64) -> String {
    match millijoules {
        0 => "-".to_owned(),
        energy => format!("{:.1} J", energy as f64 / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rushes::jobs::{Action, Cost, Frames, Message, On, Priority};

    #[test]
    fn what_inputs_say_stays_text() {
        let message = Message {
            id: "x".into(),
            media: "/films/<b>\"a.mp4".into(),
            action: Action::Frames(Frames { output: "/o".into(), ..Frames::default() }),
            priority: Priority::Normal,
            tenant: String::new(),
            timestamp: 0,
            on: On::Any,
            force: false,
            allow: Vec::new(),
        };
        let job = JobRow {
            id: 1,
            message,
            batch: "b".into(),
            state: JobState::Failed,
            attempts: 1,
            attempts_most: 3,
            kills: 0,
            losses: 0,
            worker: None,
            ready_at: 0,
            created_at: 0,
            started_at: None,
            finished_at: None,
            error_kind: Some("input".into()),
            error: Some("<script>alert(1)</script>".into()),
            cost: Cost::default(),
            stages: Vec::new(),
            way: Some(Way {
                name: "cpu".into(),
                device: "<u>".into(),
                because: Some("<i>".into()),
            }),
        };
        let effort = Effort { name: "<i>".into(), attempts: 1, cost: Cost::default() };
        let page = Report {
            batch: "<b>",
            jobs: &[job],
            by_tenant: std::slice::from_ref(&effort),
            by_stage: std::slice::from_ref(&effort),
            prices: &Prices::default(),
            not_begun: Some("<u>"),
            wall_s: 1.0,
        }
        .page();
        for raw in ["<script", "<b>", "<i>", "<u>", "\"a.mp4"] {
            assert!(!page.contains(raw), "{raw} in {page}");
        }
        assert!(page.contains("1 failed") && page.contains("&lt;script&gt;"));
    }
}
