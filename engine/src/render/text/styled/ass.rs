//! ASS and SSA files as a [`Script`]: the head, styles and events in the renderer's terms, read as libass
//! reads them where files disagree with the format.

use super::look::{Edge, Keypad, Look, Measure, Wrap};
use super::script::{Breaks, Event, Named, Script};
use super::tags::{Parser, hexadecimal};
use crate::render::text::{Backdrop, Rgba};
use crate::speech::subtitles::{Captions, Style};
use std::sync::Arc;

/// No side of a script's picture counts for more.
const MOST_SIDE: f64 = 100_000.0;

/// A script, and the first caption (by number) with a drawing of too many points.
pub(super) fn script(captions: &Captions) -> (Script, Option<usize>) {
    let info = |key: &str| {
        let mut found = captions.info.iter().filter(|(own, _)| own.eq_ignore_ascii_case(key));
        found.next_back().map(|(_, value)| value.trim())
    };
    let side = |key| {
        let value = info(key).and_then(|value| value.parse::<f64>().ok());
        value.filter(|side| *side >= 1.0).map(|side| side.min(MOST_SIDE))
    };
    // What is missing is made up as VSFilter does it.
    let size = match (side("PlayResX"), side("PlayResY")) {
        (Some(x), Some(y)) => (x, y),
        (None, None) => (384.0, 288.0),
        (None, Some(1024.0)) => (1280.0, 1024.0),
        (None, Some(y)) => ((y * 4.0 / 3.0).floor().max(1.0), y),
        (Some(1280.0), None) => (1280.0, 1024.0),
        (Some(x), None) => (x, (x * 3.0 / 4.0).floor().max(1.0)),
    };
    let yes = |value: &str| value.eq_ignore_ascii_case("yes") || value.parse() == Ok(1);
    let has = |style: &Style, key: &str| style.fields.iter().any(|(own, _)| own == key);
    let is_ssa = info("ScriptType").is_some_and(|kind| !kind.trim_end().ends_with('+'))
        || captions.styles.iter().any(|style| has(style, "TertiaryColour"));
    let wrap = Wrap::of_ass(info("WrapStyle").and_then(|value| value.parse().ok()).unwrap_or(0));
    let mut script = Script {
        size,
        layout: side("LayoutResX").zip(side("LayoutResY")),
        scaled_borders: info("ScaledBorderAndShadow").is_none_or(yes),
        wrap,
        breaks: Breaks::Spaces,
        // As VSFilter, whose GDI knows none.
        kerning: info("Kerning").is_some_and(yes),
        styles: captions.styles.iter().map(|style| named(style, is_ssa)).collect(),
        events: Vec::new(),
    };
    if script.styles.is_empty() {
        let mut plain = named(&Style { name: "Default".into(), fields: Vec::new() }, false);
        plain.look.weight = 700;
        script.styles.push(plain);
    }
    let mut overdrawn = None;
    let mut events = Vec::with_capacity(captions.cues.len());
    for (i, caption) in captions.cues.iter().enumerate() {
        let (pieces, over) = Parser::parse(&caption.source, wrap == Wrap::Never);
        if over {
            overdrawn.get_or_insert(i);
        }
        let style = caption.style.as_deref().and_then(|name| script.style(name));
        events.push(Event {
            start: caption.start,
            end: caption.end,
            layer: caption.layer,
            style: style.or_else(|| script.style("Default")).unwrap_or(0),
            margins: caption.margins.map(f64::from),
            upright: None,
            align: None,
            pieces,
        });
    }
    script.events = events;
    (script, overdrawn)
}

fn named(style: &Style, is_ssa: bool) -> Named {
    let field = |key: &str| {
        let mut found = style.fields.iter().filter(|(own, _)| own.eq_ignore_ascii_case(key));
        found.next().map(|(_, value)| value.as_str())
    };
    let number = |key: &str| {
        let value = field(key).and_then(|value| value.trim().parse::<f64>().ok());
        value.filter(|n| n.is_finite()).map(|n| n.clamp(-1e6, 1e6))
    };
    let flag = |key: &str| number(key).is_some_and(|n| n != 0.0);
    let mut look = Look::default();
    if let Some(family) = field("Fontname").filter(|family| !family.is_empty()) {
        look.family = Arc::from(family.trim_start_matches('@'));
    }
    look.measure = Measure::Cell;
    look.size = number("Fontsize").filter(|n| *n > 0.0).unwrap_or(look.size);
    look.weight = match number("Bold") {
        Some(n) if n >= 100.0 => n.min(900.0) as u16,
        Some(n) if n != 0.0 => 700,
        _ => 400,
    };
    look.italic = flag("Italic");
    look.underline = flag("Underline");
    look.strike = flag("StrikeOut");
    let keys = ["PrimaryColour", "SecondaryColour", "OutlineColour", "BackColour"];
    for (colour, key) in look.colours.iter_mut().zip(keys) {
        *colour = field(key).and_then(rgba).unwrap_or(*colour);
    }
    if is_ssa {
        // SSA has one colour for border and shadow.
        look.colours[2] = look.colours[3];
    }
    let share = |key| number(key).map_or(1.0, |n: f64| n.max(0.0) / 100.0);
    look.scale = (share("ScaleX"), share("ScaleY"));
    look.spacing = number("Spacing").unwrap_or(0.0);
    look.angle[2] = number("Angle").unwrap_or(0.0);
    let border = number("Outline").unwrap_or(2.0).max(0.0);
    look.border = (border, border);
    let shadow = number("Shadow").unwrap_or(2.0).max(0.0);
    look.shadow = (shadow, shadow);
    look.blur = number("Blur").unwrap_or(0.0).max(0.0);
    let mut backdrop = None;
    match number("BorderStyle").map(|n| n as i64) {
        Some(3) => look.edge = Edge::Box,
        // libass's own: one box behind the whole event in the shadow's colour, as much larger as the
        // shadow is wide.
        Some(4) => {
            let padding = shadow;
            backdrop = Some(Backdrop { padding, radius: 0.0, colour: look.colours[3] });
            look.shadow = (0.0, 0.0);
        }
        _ => {}
    }
    let align = number("Alignment").unwrap_or(2.0).clamp(0.0, 255.0) as u8;
    let align = if is_ssa { Keypad::of_ssa(align) } else { Keypad::new(align) };
    let margin = |key| number(key).unwrap_or(0.0);
    Named {
        name: style.name.trim_start_matches('*').to_owned(),
        look,
        align: align.unwrap_or(Keypad::BOTTOM),
        margins: [margin("MarginL"), margin("MarginR"), margin("MarginV")],
        backdrop,
    }
}

/// `&HAABBGGRR`, or the same as a decimal number; ASS counts transparency.
fn rgba(text: &str) -> Option<Rgba> {
    let text = text.trim();
    let value = if text.starts_with(['&', 'H', 'h']) {
        hexadecimal(text)?
    } else {
        // Decimal numbers of SSA may be negative: the transparency is the sign's byte.
        text.parse::<i64>().ok().map(|n| n as u32)?
    };
    let [a, b, g, r] = value.to_be_bytes();
    Some([r, g, b, 255 - a])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::text::styled::look::Along;
    use crate::speech::subtitles::read;

    fn of(text: &str) -> Script {
        script(&read(text.as_bytes()).unwrap()).0
    }

    #[test]
    fn heads_styles_and_events() {
        let script = of("[Script Info]\nScriptType: v4.00+\nPlayResY: 720\nWrapStyle: 2\n\
             ScaledBorderAndShadow: no\n[V4+ Styles]\n\
             Format: Name, Fontname, Fontsize, PrimaryColour, OutlineColour, Bold, ScaleX, Outline, \
             Shadow, Alignment, MarginL, MarginR, MarginV, BorderStyle\n\
             Style: Default,Noto Sans,40,&H800000FF,&H00102030,-1,50,3,1,8,10,20,30,1\n\
             Style: Sign,Noto Serif,20,&HFFFFFF,255,0,100,0,0,5,0,0,0,3\n[Events]\n\
             Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n\
             Dialogue: 3,0:00:01.00,0:00:02.00,*Sign,,0,0,77,,x\n\
             Dialogue: 0,0:00:01.00,0:00:02.00,Nobody,,0,0,0,,x\n");
        assert_eq!((script.size, script.scaled_borders), ((960.0, 720.0), false));
        assert_eq!(script.wrap, Wrap::Never);
        let [first, sign] = &script.styles[..] else { panic!() };
        assert_eq!(first.look.colours[0], [255, 0, 0, 127]);
        assert_eq!(first.look.colours[2], [0x30, 0x20, 0x10, 255]);
        assert_eq!((first.look.weight, first.look.scale), (700, (0.5, 1.0)));
        assert_eq!((first.align.across(), first.align.down()), (Along::Middle, Along::Start));
        assert_eq!(first.margins, [10.0, 20.0, 30.0]);
        assert_eq!((sign.look.edge, sign.look.colours[2]), (Edge::Box, [255, 0, 0, 255]));
        let [a, b] = &script.events[..] else { panic!() };
        assert_eq!((a.layer, a.style, a.margins), (3, 1, [0.0, 0.0, 77.0]));
        assert_eq!(b.style, 0);
    }

    #[test]
    fn ssa_counts_differently() {
        let script = of("[Script Info]\nScriptType: v4.00\n[V4 Styles]\n\
             Format: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, TertiaryColour, \
             BackColour, Bold, Alignment\n\
             Style: Default,Arial,18,16777215,255,0,65280,0,6\n[Events]\n\
             Dialogue: Marked=0,0:00:01.00,0:00:02.00,Default,,0,0,0,,x\n");
        let style = &script.styles[0];
        assert_eq!(style.look.colours[0], [255; 4]);
        assert_eq!(style.look.colours[2], [0, 255, 0, 255]);
        assert_eq!((style.align.across(), style.align.down()), (Along::Middle, Along::Start));
        assert_eq!(script.size, (384.0, 288.0));
    }
}
