//! A report, or two side by side, as a page that needs nothing but itself.

use super::compare::Row;
use super::report::{Measure, Report, SuiteReport};
use rushes::device::show_bytes;
use rushes::text::html::escape;
use std::fmt::Write;

const STYLE: &str = "body{font:15px/1.45 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}\
    h2{margin-top:2rem}table{border-collapse:collapse;width:100%}th,td{text-align:left;padding:.2rem .6rem;\
    border-bottom:1px solid #8884;vertical-align:middle}td.n,th.n{text-align:right;\
    font-variant-numeric:tabular-nums;white-space:nowrap}svg{display:block}\
    .bar{fill:#4a7fd4}.turn{fill:#222}.cap{fill:#d48a4a}.bad{color:#b00020}.dim{opacity:.65}\
    @media(prefers-color-scheme:dark){body{background:#161616;color:#ddd}.turn{fill:#eee}.bad{color:#ff8a80}}";
/// Width of a plot in pixels.
const PLOT: f64 = 240.0;

/// One report.
pub fn of_report(report: &Report) -> String {
    let mut out = head(&format!("Benchmark of {}", machine(report)));
    let sort = if report.quick { "quick look" } else { "full" };
    let build = if report.optimised { "" } else { ", not optimised: no figures to quote" };
    let _ = writeln!(
        out,
        "<p>rushes {}, {sort}{build}. {} threads, {} of memory. {}</p>",
        escape(&report.rushes),
        report.machine.threads,
        show_bytes(report.machine.memory),
        escape(&report.machine.facts.join(". ")),
    );
    for suite in &report.suites {
        of_suite(&mut out, suite);
    }
    out.push_str("</body></html>\n");
    out
}

fn of_suite(out: &mut String, suite: &SuiteReport) {
    let _ = writeln!(
        out,
        "<h2>{} <span class=\"dim\">on {}</span></h2>",
        suite.suite.as_str(),
        escape(&suite.device)
    );
    if let Some(why) = &suite.skipped {
        let _ = writeln!(out, "<p class=\"dim\">not measured: {}</p>", escape(why));
        return;
    }
    out.push_str("<table><tr><th>what</th><th class=\"n\">median</th><th class=\"n\">spread</th><th class=\"n\">of the machine's bound</th><th>turns</th></tr>\n");
    for measure in &suite.measures {
        let bound = measure.ceiling.map_or_else(String::new, |bound| {
            format!(
                "{:.0} % of {} {}",
                measure.median() / bound * 100.0,
                number(bound),
                escape(&measure.unit)
            )
        });
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td class=\"n\">{} {}</td><td class=\"n\">{:.1} %</td><td class=\"n\">{bound}</td><td>{}</td></tr>",
            escape(&measure.name),
            number(measure.median()),
            escape(&measure.unit),
            measure.spread() * 100.0,
            plot(measure),
        );
    }
    out.push_str("</table>\n");
    for check in &suite.checks {
        let (class, word) = if check.holds { ("dim", "holds") } else { ("bad", "does not hold") };
        let _ = writeln!(
            out,
            "<p class=\"{class}\">{}: {word} ({})</p>",
            escape(&check.name),
            escape(&check.seen)
        );
    }
    let effort = &suite.effort;
    let joules = effort.joules.map_or_else(String::new, |j| format!(", {j:.0} J on the GPUs"));
    let price =
        effort.price_of_hour.map_or_else(String::new, |p| format!(", {p:.4} for an hour of media"));
    let _ = writeln!(
        out,
        "<p class=\"dim\">In all {:.1} s, {:.1} CPU s, {} at most{joules}{price}.</p>",
        effort.wall,
        effort.cpu,
        show_bytes(effort.peak_bytes),
    );
}

/// Two reports.
pub fn of_rows(first: &Report, second: &Report, rows: &[Row]) -> String {
    let mut out = head(&format!("{} beside {}", machine(first), machine(second)));
    out.push_str("<table><tr><th>suite</th><th>what</th><th class=\"n\">first</th><th class=\"n\">second</th><th class=\"n\">times better</th><th></th><th class=\"n\">chance</th></tr>\n");
    let most = rows.iter().map(|row| row.better).filter(|b| b.is_finite()).fold(1.0, f64::max);
    for row in rows {
        let width = (row.better / most * PLOT).clamp(0.0, PLOT);
        let one = PLOT / most;
        let class = if row.is_sure() { "n" } else { "n dim" };
        let _ = writeln!(
            out,
            "<tr><td>{}</td><td>{}</td><td class=\"n\">{} {unit}</td><td class=\"n\">{} {unit}</td>\
             <td class=\"{class}\">{:.2}</td><td><svg width=\"{PLOT}\" height=\"16\"><rect class=\"bar\" y=\"3\" \
             width=\"{width:.1}\" height=\"10\"/><rect class=\"turn\" x=\"{one:.1}\" width=\"1\" height=\"16\"/></svg></td>\
             <td class=\"n\">{:.1} %</td></tr>",
            row.suite.as_str(),
            escape(&row.name),
            number(row.medians[0]),
            number(row.medians[1]),
            row.better,
            row.chance * 100.0,
            unit = escape(&row.unit),
        );
    }
    out.push_str("</table>\n<p class=\"dim\">The thin line is 1. Chance: how often turns dealt at random differ as much.</p></body></html>\n");
    out
}

fn head(title: &str) -> String {
    let title = escape(title);
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><title>{title}</title><style>{STYLE}</style></head><body>\n<h1>{title}</h1>\n"
    )
}

/// What it ran on, in a line.
pub fn machine(report: &Report) -> String {
    let processor = report.machine.processor.as_deref().unwrap_or("an unnamed processor");
    match report.machine.gpus.first() {
        Some(gpu) => format!("{processor}, {gpu}"),
        None => processor.to_owned(),
    }
}

/// The median as a bar, each turn as a stroke, the bound as another colour behind.
fn plot(measure: &Measure) -> String {
    let most =
        measure.turns.iter().copied().chain(measure.ceiling).fold(f64::MIN_POSITIVE, f64::max);
    let at = |value: f64| (value / most * PLOT).clamp(0.0, PLOT);
    let mut out = format!("<svg width=\"{PLOT}\" height=\"16\">");
    if let Some(bound) = measure.ceiling {
        let _ =
            write!(out, "<rect class=\"cap\" y=\"6\" width=\"{:.1}\" height=\"4\"/>", at(bound));
    }
    let _ = write!(
        out,
        "<rect class=\"bar\" y=\"3\" width=\"{:.1}\" height=\"10\"/>",
        at(measure.median())
    );
    for turn in &measure.turns {
        let x = (at(*turn) - 1.0).max(0.0);
        let _ = write!(out, "<rect class=\"turn\" x=\"{x:.1}\" width=\"1\" height=\"16\"/>");
    }
    out.push_str("</svg>");
    out
}

/// Three digits that count.
pub fn number(value: f64) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    let whole = value.abs().log10().floor().max(-6.0) as i32;
    let places = usize::try_from(2 - whole).unwrap_or(0);
    format!("{value:.places$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits() {
        assert_eq!(number(1234.5), "1234");
        assert_eq!(number(12.345), "12.3");
        assert_eq!(number(0.012_345), "0.0123");
        assert_eq!(number(f64::NAN), "–");
        assert_eq!(number(0.0), "0");
    }
}
