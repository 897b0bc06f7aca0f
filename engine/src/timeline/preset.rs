//! Presets for common destinations, as data: `presets/*.toml`, one file each. A preset says how large
//! the canvas is, how outputs are coded and how loud they are, where a spec says nothing of it.

use super::fault::Faults;
use super::reader::{Node, Spec, spec_struct};
use super::spec::{AudioSettings, Container, Output, Sound, VideoSettings};
use super::value::Size;
use serde_json::{Value, json};
use std::cell::RefCell;

/// Every preset: its name and its file.
const FILES: &[(&str, &str)] = &[
    ("vertical-short", include_str!("presets/vertical-short.toml")),
    ("square", include_str!("presets/square.toml")),
    ("1080p", include_str!("presets/1080p.toml")),
    ("4k", include_str!("presets/4k.toml")),
];

spec_struct! {
    /// How films for one kind of destination are made.
    Preset {
        /// What it is for, in a few words.
        about: String,
        /// The canvas.
        size: Size,
        /// The container, where no file name says it.
        container: Option<Container>,
        /// How pictures are coded.
        video: Option<VideoSettings>,
        /// How sound is coded.
        audio: Option<AudioSettings>,
        /// How loud it is.
        sound: Option<Sound>,
    }
}

impl Preset {
    /// The names of all presets.
    pub fn names() -> impl Iterator<Item = &'static str> {
        FILES.iter().map(|(name, _)| *name)
    }

    /// The preset of this name.
    ///
    /// # Errors
    /// A fault at `pointer` that says which there are.
    pub fn named(name: &str, pointer: &str) -> Result<Self, Faults> {
        let mut faults = Faults::default();
        match FILES.iter().find(|(known, _)| *known == name) {
            Some((_, text)) => Self::parse(text),
            None => {
                let known: Vec<_> = Self::names().collect();
                let known = known.join(", ");
                faults.add(pointer, format!("no preset is called \"{name}\" (there are: {known})"));
                Err(faults)
            }
        }
    }

    fn parse(text: &str) -> Result<Self, Faults> {
        let faults = RefCell::new(Faults::default());
        let tree: Value = toml::from_str(text).map_err(|error| {
            let mut faults = Faults::default();
            faults.add("", error.to_string());
            faults
        })?;
        let read = Self::read(Node { value: &tree, pointer: String::new(), faults: &faults });
        faults.into_inner().or(read)
    }

    /// `output` with what it does not say taken from the preset.
    pub fn fill(&self, output: &Output) -> Output {
        let mut made = output.clone();
        let named = output.file.as_deref().and_then(Container::of_file);
        made.container = output.container.or(named).or(self.container);
        if let Some(usual) = &self.video {
            let own = output.video.clone().unwrap_or_default();
            // A codec of its own has presets and qualities of its own.
            let same = own.codec.is_none() || own.codec == usual.codec;
            let usual = if same { usual.clone() } else { VideoSettings::default() };
            let quality = own.crf.is_some() || own.bitrate.is_some();
            made.video = Some(VideoSettings {
                codec: own.codec.or(usual.codec),
                crf: own.crf.or(usual.crf.filter(|_| !quality)),
                bitrate: own.bitrate.or(usual.bitrate.filter(|_| !quality)),
                passes: own.passes,
                maxrate: own.maxrate.or(usual.maxrate),
                bufsize: own.bufsize.or(usual.bufsize.filter(|_| own.maxrate.is_none())),
                preset: own.preset.or(usual.preset),
                gop: own.gop.or(usual.gop),
                depth: own.depth.or(usual.depth),
            });
        }
        if let Some(usual) = &self.audio {
            let own = output.audio.clone().unwrap_or_default();
            let same = own.codec.is_none() || own.codec == usual.codec;
            made.audio = Some(AudioSettings {
                codec: own.codec.or(usual.codec),
                bitrate: own.bitrate.or(usual.bitrate.filter(|_| same)),
            });
        }
        made
    }

    /// Has the spec in `tree` made for this preset, which is called `name`: its canvas, its outputs,
    /// and its loudness where it says none.
    pub(super) fn apply(&self, name: &str, tree: &mut Value) {
        let Some(fields) = tree.as_object_mut() else { return };
        if let Some(canvas) = fields.get_mut("canvas").and_then(Value::as_object_mut) {
            canvas.insert("size".into(), json!(self.size));
        }
        let outputs = fields.entry("outputs").or_insert_with(|| json!([]));
        if let Some(outputs) = outputs.as_array_mut() {
            if outputs.is_empty() {
                outputs.push(json!({}));
            }
            for output in outputs.iter_mut().filter_map(Value::as_object_mut) {
                output.insert("preset".into(), json!(name));
            }
        }
        if let Some(sound) = &self.sound {
            let usual = super::tree::without_nulls(json!(sound));
            fields.entry("sound").or_insert(usual);
        }
    }
}

impl Output {
    /// With what its preset says where it says nothing itself; as it is without one.
    pub fn settled(&self) -> Self {
        let preset = self.preset.as_deref().and_then(|name| Preset::named(name, "").ok());
        preset.map_or_else(|| self.clone(), |preset| preset.fill(self))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Template, Values};
    use super::*;

    #[test]
    fn every_file_reads_and_makes_a_good_edit() {
        for name in Preset::names() {
            let preset =
                Preset::named(name, "").unwrap_or_else(|faults| panic!("{name}: {faults}"));
            let text = "{ rushes: 1, canvas: { size: '320x180', rate: 25 },
                assets: { a: { file: 'a.mp4' } }, video: [{ items: [{ asset: 'a' }] }] }";
            let mut template = Template::parse(text).unwrap();
            template.preset(name).unwrap();
            let made = template.fill(&Values::new()).unwrap_or_else(|faults| panic!("{faults}"));
            assert_eq!((made.canvas.size, made.outputs.len()), (preset.size, 1));
            assert_eq!(made.sound, preset.sound);
            let output = made.outputs[0].settled();
            assert_eq!((output.video, output.audio), (preset.video, preset.audio));
        }
        assert!(Preset::named("tv", "/outputs/0/preset").is_err());
    }

    #[test]
    fn what_is_said_goes_before_the_preset() {
        let output = |text: &str| {
            let spec = format!(
                "{{ rushes: 1, canvas: {{ size: '1080x1920', rate: 25 }}, assets: {{ a: {{ file: 'a' }} }},
                    video: [{{ items: [{{ asset: 'a' }}] }}], outputs: [{text}] }}"
            );
            Template::parse(&spec).unwrap().fill(&Values::new())
        };
        let own =
            "{ preset: 'vertical-short', file: 'x.mov', video: { bitrate: 5000000, gop: 50 } }";
        let made = output(own).unwrap().outputs[0].settled();
        let video = made.video.unwrap();
        assert_eq!((video.crf, video.bitrate, video.gop), (None, Some(5_000_000), Some(50)));
        assert_eq!(video.preset.as_deref(), Some("medium"));
        assert_eq!(made.container, Some(Container::Mov));
        let other = "{ preset: 'vertical-short', video: { codec: 'av1' } }";
        let video = output(other).unwrap().outputs[0].settled().video.unwrap();
        assert_eq!((video.crf, video.preset), (None, None));
        for (wrong, pointer) in [
            ("{ preset: 'vertikal' }", "/outputs/0/preset"),
            ("{ preset: 'square' }", "/outputs/0/preset"),
            ("{ file: 'x.gif', audio: {} }", "/outputs/0/audio"),
            ("{ file: 'x.mp4', video: { passes: 2 } }", "/outputs/0/video/passes"),
            ("{ file: 'x.mp4', video: { bufsize: 100000 } }", "/outputs/0/video/bufsize"),
        ] {
            let faults = output(wrong).unwrap_err();
            assert_eq!(faults.0[0].pointer, pointer, "{faults}");
        }
    }
}
