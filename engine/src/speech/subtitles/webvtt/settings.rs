//! The settings of cues and regions. A setting that is wrong in any part is left out whole.

use super::is_space;
use crate::speech::subtitles::captions::{
    Align, CueSettings, LineAlign, LinePosition, PositionAlign, Region, Vertical,
};

/// `name:value` pairs; what is not one is left out. A further colon belongs to the value.
fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(is_space)
        .filter_map(|setting| setting.split_once(':'))
        .filter(|(name, value)| !name.is_empty() && !value.is_empty())
}

/// "Parse the WebVTT cue settings".
pub(super) fn cue(text: &str, regions: &[Region]) -> CueSettings {
    let mut settings = CueSettings::default();
    for (name, value) in pairs(text) {
        // Each arm gives `None` to leave the setting out.
        let _: Option<()> = (|| {
            match name {
                "region" => {
                    let known = regions.iter().rev().any(|region| region.id == value);
                    settings.region = known.then(|| value.to_owned());
                }
                "vertical" => {
                    settings.vertical = Some(match value {
                        "rl" => Vertical::GrowingLeft,
                        "lr" => Vertical::GrowingRight,
                        _ => return None,
                    });
                }
                "line" => {
                    let (at, align) = split(value);
                    let at = line(at)?;
                    settings.line_align = match align {
                        None => settings.line_align,
                        Some("start") => LineAlign::Start,
                        Some("center") => LineAlign::Center,
                        Some("end") => LineAlign::End,
                        Some(_) => return None,
                    };
                    settings.line = Some(at);
                }
                "position" => {
                    let (at, align) = split(value);
                    let at = percentage(at)?;
                    settings.position_align = match align {
                        None => settings.position_align,
                        Some("line-left") => PositionAlign::LineLeft,
                        Some("center") => PositionAlign::Center,
                        Some("line-right") => PositionAlign::LineRight,
                        Some(_) => return None,
                    };
                    settings.position = Some(at);
                }
                "size" => settings.size = percentage(value)?,
                "align" => {
                    settings.align = match value {
                        "start" => Align::Start,
                        "center" => Align::Center,
                        "end" => Align::End,
                        "left" => Align::Left,
                        "right" => Align::Right,
                        _ => return None,
                    };
                }
                _ => {}
            }
            Some(())
        })();
    }
    let free = settings.line.is_none() && settings.size == 100.0 && settings.vertical.is_none();
    if !free {
        settings.region = None;
    }
    settings
}

/// "Collect WebVTT region settings".
pub(super) fn region(text: &str) -> Region {
    let mut region = Region::default();
    for (name, value) in pairs(text) {
        match name {
            "id" => region.id = value.to_owned(),
            "width" => region.width = percentage(value).unwrap_or(region.width),
            "lines" if value.bytes().all(|b| b.is_ascii_digit()) => {
                region.lines = value.parse().unwrap_or(region.lines);
            }
            "regionanchor" => region.region_anchor = anchor(value).unwrap_or(region.region_anchor),
            "viewportanchor" => {
                region.viewport_anchor = anchor(value).unwrap_or(region.viewport_anchor);
            }
            "scroll" if value == "up" => region.scroll_up = true,
            _ => {}
        }
    }
    region
}

fn split(value: &str) -> (&str, Option<&str>) {
    match value.split_once(',') {
        Some((at, align)) => (at, Some(align)),
        None => (value, None),
    }
}

fn anchor(value: &str) -> Option<(f64, f64)> {
    let (x, y) = value.split_once(',')?;
    Some((percentage(x)?, percentage(y)?))
}

/// "Parse a percentage string".
fn percentage(text: &str) -> Option<f64> {
    let number = text.strip_suffix('%')?;
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if !is_digits(whole) || !is_digits(part) {
        return None;
    }
    number.parse().ok().filter(|n| (0.0..=100.0).contains(n))
}

fn line(text: &str) -> Option<LinePosition> {
    if text.ends_with('%') {
        return percentage(text).map(LinePosition::Percent);
    }
    let number = text.strip_prefix('-').unwrap_or(text);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    if !is_digits(whole) || !is_digits(part) {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite()).map(LinePosition::Number)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
