//! The decisions as one page: what was said and when, how it did, and why it was promoted or not.

use crate::strategy::{Moment, Promotion, Strategy, WARNING};
use crate::text::html::escape;
use serde_json::Value;
use std::fmt::Write;

const HEAD: &str = "<meta charset=\"utf-8\">\n\
<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src 'self'; style-src 'unsafe-inline'\">\n\
<style>body{font:15px/1.5 sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1b1f24}\
table{border-collapse:collapse;margin:.5rem 0 1rem}td,th{padding:.15rem .9rem .15rem 0;text-align:left;\
border-bottom:1px solid #e5e7eb;vertical-align:top}td.n{text-align:right;font-variant-numeric:tabular-nums}\
.yes{color:#116329}.no{color:#a40e26}.said{color:#57606a}img{max-width:100%}\
.warn{background:#fff8c5;padding:.6rem 1rem;border-radius:6px}</style>\n";

/// The page; every text of the film's is escaped.
pub(super) fn page(title: &str, all: &[(Strategy, Value, Promotion)]) -> String {
    let title = escape(title);
    let mut out = format!("<!doctype html>\n<html lang=\"en\">\n{HEAD}<title>{title}</title>\n");
    let _ =
        writeln!(out, "<h1>What {title} teaches</h1>\n<p class=\"warn\">{}</p>", escape(WARNING));
    for (strategy, study, decision) in all {
        let (class, word) =
            if decision.promoted { ("yes", "promoted") } else { ("no", "not promoted") };
        let name = escape(&strategy.name);
        let _ = writeln!(out, "<h2>{name} <span class=\"{class}\">{word}</span></h2>\n<table>");
        for told in &strategy.entry {
            part(&mut out, "in when", &told.value.to_string(), told.said.as_ref());
        }
        for told in &strategy.exit {
            part(&mut out, "out when", &told.value.to_string(), told.said.as_ref());
        }
        if let Some(told) = &strategy.stop {
            part(&mut out, "stop", &told.value.to_string(), told.said.as_ref());
        }
        if let Some(told) = &strategy.target {
            part(&mut out, "target", &told.value.to_string(), told.said.as_ref());
        }
        out.push_str("</table>\n");
        let _ =
            writeln!(out, "<img src=\"../equity/{name}.svg\" alt=\"what was owned over time\">");
        out.push_str("<table><tr><th></th><th>return</th><th>Sharpe</th><th>drawdown</th><th>trades</th></tr>\n");
        for (what, of) in [
            ("all prices", &study["metrics"]),
            ("holding", &study["hold"]),
            ("seen", &study["walk"]["in_sample"]),
            ("not seen", &study["walk"]["out_of_sample"]),
            ("holding there", &study["walk"]["hold"]),
        ] {
            let share = |name: &str| match of[name].as_f64() {
                Some(value) => format!("{:.1} %", value * 100.0),
                None => "-".to_owned(),
            };
            let sharpe =
                of["sharpe"].as_f64().map_or("-".to_owned(), |value| format!("{value:.2}"));
            let _ = writeln!(
                out,
                "<tr><td>{what}</td><td class=\"n\">{}</td><td class=\"n\">{sharpe}</td>\
                 <td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
                share("total_return"),
                share("max_drawdown"),
                of["trades"]
            );
        }
        out.push_str("</table>\n<table><tr><th></th><th>wanted</th><th>found</th></tr>\n");
        for check in &decision.checks {
            let (class, mark) = if check.passed { ("yes", "✓") } else { ("no", "✗") };
            let _ = writeln!(
                out,
                "<tr><td class=\"{class}\">{mark} {}</td><td>{}</td><td>{}</td></tr>",
                escape(check.name),
                escape(&check.wanted),
                escape(&check.found)
            );
        }
        out.push_str("</table>\n");
    }
    out.push_str("</html>\n");
    out
}

fn part(out: &mut String, what: &str, value: &str, said: Option<&Moment>) {
    let said = said.map_or(String::new(), |said| {
        format!("{:.1} s: “{}”", said.span.start.as_secs_f64(), escape(&said.text))
    });
    let _ = writeln!(
        out,
        "<tr><td>{what}</td><td>{}</td><td class=\"said\">{said}</td></tr>",
        escape(value)
    );
}
