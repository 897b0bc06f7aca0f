//! What was owned over time, drawn: the strategy, holding beside it, and how far below its height it was.

use super::metrics::drawdowns;
use super::prices::{Bar, show_time};
use crate::text::html::escape;
use std::fmt::Write;

const WIDTH: f64 = 960.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 20.0;
const CURVES: (f64, f64) = (56.0, 340.0);
const FALLS: (f64, f64) = (372.0, 470.0);
/// More points than pixels show nothing more.
const MOST_POINTS: usize = 1920;

/// An SVG picture of `equity` and `hold`, of what was owned at each of `bars`, both begun with `capital`.
/// A program without fonts shows all but the words.
pub fn equity_svg(title: &str, bars: &[Bar], capital: f64, equity: &[f64], hold: &[f64]) -> String {
    let falls: Vec<f64> = drawdowns(equity).iter().map(|fall| -fall).collect();
    let values = || equity.iter().chain(hold).copied().chain([capital]);
    let (low, high) = (values().fold(f64::MAX, f64::min), values().fold(f64::MIN, f64::max));
    let deepest = falls.iter().copied().fold(0.0, f64::min);
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} 510\" width=\"{WIDTH}\" \
         height=\"510\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"{WIDTH}\" height=\"510\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-size=\"16\" fill=\"#1b1f24\">{}</text>\n",
        escape(title)
    );
    legend(&mut out, LEFT, "#0b6bcb", "strategy");
    legend(&mut out, LEFT + 90.0, "#8a8f98", "holding");
    let money = |value: f64| format!("{value:.0}");
    grid(&mut out, CURVES, (low, high), money);
    grid(&mut out, FALLS, (deepest.min(-1e-3), 0.0), |value| format!("{:.1} %", value * 100.0));
    line(&mut out, CURVES, (low, high), hold, "#8a8f98", 1.2);
    line(&mut out, CURVES, (low, high), equity, "#0b6bcb", 1.8);
    line(&mut out, FALLS, (deepest.min(-1e-3), 0.0), &falls, "#c2410c", 1.2);
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{}\" fill=\"#c2410c\">below its height</text>",
        FALLS.0 - 8.0
    );
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let n = ((bars.len().saturating_sub(1)) as f64 * share) as usize;
        let Some(bar) = bars.get(n) else { continue };
        let anchor = if share == 0.0 {
            "start"
        } else if share == 1.0 {
            "end"
        } else {
            "middle"
        };
        let x = LEFT + share * (WIDTH - LEFT - RIGHT);
        let time = show_time(bar.at_ms);
        let _ = writeln!(
            out,
            "<text x=\"{x:.1}\" y=\"492\" fill=\"#57606a\" text-anchor=\"{anchor}\">{time}</text>"
        );
    }
    out.push_str("</svg>\n");
    out
}

fn legend(out: &mut String, x: f64, colour: &str, text: &str) {
    let _ = writeln!(
        out,
        "<rect x=\"{x}\" y=\"36\" width=\"14\" height=\"4\" fill=\"{colour}\"/>\
         <text x=\"{}\" y=\"42\" fill=\"#57606a\">{text}</text>",
        x + 20.0
    );
}

/// Where a value lies between the edges of a panel.
fn height(panel: (f64, f64), range: (f64, f64), value: f64) -> f64 {
    let share = (value - range.0) / (range.1 - range.0).max(f64::MIN_POSITIVE);
    panel.1 - share.clamp(0.0, 1.0) * (panel.1 - panel.0)
}

fn grid(out: &mut String, panel: (f64, f64), range: (f64, f64), show: impl Fn(f64) -> String) {
    let steps = if panel.1 - panel.0 > 150.0 { 4 } else { 2 };
    for n in 0..=steps {
        let value = range.0 + (range.1 - range.0) * f64::from(n) / f64::from(steps);
        let y = height(panel, range, value);
        let _ = writeln!(
            out,
            "<line x1=\"{LEFT}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"#e5e7eb\"/>\
             <text x=\"{}\" y=\"{:.1}\" fill=\"#57606a\" text-anchor=\"end\">{}</text>",
            WIDTH - RIGHT,
            LEFT - 8.0,
            y + 4.0,
            show(value)
        );
    }
}

fn line(
    out: &mut String,
    panel: (f64, f64),
    range: (f64, f64),
    values: &[f64],
    colour: &str,
    width: f64,
) {
    let _ = write!(
        out,
        "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"{width}\" \
         stroke-linejoin=\"round\" points=\""
    );
    let last = values.len().saturating_sub(1).max(1) as f64;
    let step = values.len().div_ceil(MOST_POINTS).max(1);
    for (n, value) in values.iter().enumerate() {
        if n % step == 0 || n + 1 == values.len() {
            let x = LEFT + n as f64 / last * (WIDTH - LEFT - RIGHT);
            let _ = write!(out, "{x:.1},{:.1} ", height(panel, range, *value));
        }
    }
    out.push_str("\"/>\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_stay_within_their_panels_and_titles_are_escaped() {
        let bars: Vec<Bar> = super::super::Prices::synthetic().unwrap().bars()[..5].to_vec();
        let svg =
            equity_svg("<a> & b", &bars, 100.0, &[100.0, 120.0, 90.0, 95.0, 130.0], &[100.0; 5]);
        assert!(svg.contains("&lt;a&gt; &amp; b") && svg.contains("2022-01-03"));
        let lines: Vec<&str> = svg.split("points=\"").skip(1).collect();
        assert_eq!(lines.len(), 3);
        let strategy: Vec<(f64, f64)> = lines[1]
            .split('"')
            .next()
            .unwrap()
            .split_whitespace()
            .map(|point| point.split_once(',').unwrap())
            .map(|(x, y)| (x.parse().unwrap(), y.parse().unwrap()))
            .collect();
        assert_eq!(strategy.len(), 5);
        assert_eq!((strategy[0].0, strategy[4]), (LEFT, (WIDTH - RIGHT, CURVES.0)));
        // the lowest value of both curves touches the panel's floor
        assert_eq!(strategy[2].1, CURVES.1);
    }

    #[test]
    fn long_curves_are_thinned() {
        let bars = super::super::Prices::synthetic().unwrap().bars()[..2].to_vec();
        let many = vec![1.0; 100_000];
        assert!(equity_svg("x", &bars, 1.0, &many, &many).len() < 200_000);
    }
}
