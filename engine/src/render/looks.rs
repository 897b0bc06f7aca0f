//! The effects of an edit's items, with their colour tables read before the first frame.

use super::effect::{ChromaKey, Effect, Grade, Vignette};
use super::lut::CubeLut;
use crate::error::{Error, Result, Stage};
use crate::timeline::{Clip, EffectSpec, Faults, Rgb, Timeline};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

/// The colour tables of an edit, by the file as the spec names it.
#[derive(Default)]
pub(super) struct Looks {
    tables: HashMap<String, Table>,
}

struct Table {
    lut: Arc<CubeLut>,
    /// Stands for its text.
    digest: String,
}

/// Bytes of a colour table: one of 129 points a side has some 60 MB.
const MAX_BYTES: u64 = 128 << 20;

/// How wide the blur is whose difference sharpens, as a share of the canvas's shorter side.
const SHARPEN_SIGMA: f64 = 0.0015;

impl Looks {
    /// Reads every colour table.
    ///
    /// # Errors
    /// Everything that is wrong with them.
    pub fn new(timeline: &Timeline, folder: &Path) -> std::result::Result<Self, Faults> {
        let mut faults = Faults::default();
        let mut looks = Self::default();
        for (at, item) in timeline.items() {
            for (i, effect) in item.effects.iter().enumerate() {
                let Some(file) =
                    effect.lut.as_ref().filter(|file| !looks.tables.contains_key(*file))
                else {
                    continue;
                };
                match read(&folder.join(file)) {
                    Ok(table) => {
                        looks.tables.insert(file.clone(), table);
                    }
                    Err(error) => {
                        faults.add(format!("{at}/effects/{i}/lut"), error.to_string());
                    }
                }
            }
        }
        faults.or(Some(looks))
    }

    /// The effects of a clip on a canvas whose shorter side is `shorter`.
    pub fn of(&self, clip: &Clip, shorter: f64) -> Vec<Effect> {
        clip.item.effects.iter().filter_map(|effect| self.effect(effect, shorter)).collect()
    }

    fn effect(&self, spec: &EffectSpec, shorter: f64) -> Option<Effect> {
        if let Some(blur) = spec.blur {
            return Some(Effect::Blur { sigma: blur * shorter });
        }
        if let Some(amount) = spec.sharpen {
            return Some(Effect::Sharpen { amount, sigma: SHARPEN_SIGMA * shorter });
        }
        if let Some(grade) = &spec.grade {
            let usual = Grade::default();
            return Some(Effect::Grade(Grade {
                exposure: grade.exposure.unwrap_or(usual.exposure),
                contrast: grade.contrast.unwrap_or(usual.contrast),
                saturation: grade.saturation.unwrap_or(usual.saturation),
                temperature: grade.temperature.unwrap_or(usual.temperature),
            }));
        }
        if let Some(file) = &spec.lut {
            return self.tables.get(file).map(|table| Effect::Lut(table.lut.clone()));
        }
        if let Some(vignette) = &spec.vignette {
            return Some(Effect::Vignette(Vignette {
                amount: vignette.amount.unwrap_or(0.5),
                radius: vignette.radius.unwrap_or(0.5),
            }));
        }
        let key = spec.chroma_key.as_ref()?;
        let usual = ChromaKey::default();
        Some(Effect::ChromaKey(ChromaKey {
            colour: key.colour.map_or(usual.colour, |colour: Rgb| colour.rgb),
            tolerance: key.tolerance.unwrap_or(usual.tolerance),
            softness: key.softness.unwrap_or(usual.softness),
            despill: key.despill.unwrap_or(usual.despill),
        }))
    }

    /// What decides a clip's effects.
    pub fn key(&self, clip: &Clip) -> Value {
        let effects = clip.item.effects.iter().map(|effect| match &effect.lut {
            Some(file) => json!({ "lut": self.tables.get(file).map(|table| &table.digest) }),
            None => json!(effect),
        });
        Value::Array(effects.collect())
    }
}

fn read(path: &Path) -> Result<Table> {
    let failed = |e: std::io::Error| Error::io(Stage::Open, path, e);
    let mut text = String::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES).read_to_string(&mut text).map_err(failed)?;
    let lut = Arc::new(CubeLut::parse(&text).map_err(|e| e.input(path))?);
    Ok(Table { lut, digest: blake3::hash(text.as_bytes()).to_hex().to_string() })
}
