//! Text in pictures read by the engine, for `benches/ocr.py`.
//!
//!     rushes-ocr RUNTIME DETECTOR RECOGNISER THREADS PICTURE...
//!
//! Prints a JSON object for each picture (PNG or JPEG): its lines, each with its probability and
//! its corners in pixels, and the CPU seconds of reading it. The networks are loaded before.
#![allow(clippy::print_stdout)]

use anyhow::{Context, Result, ensure};
use cpu_time::ProcessTime;
use image::{ImageReader, RgbImage};
use rushes::control::Cancel;
use rushes::vision::ocr::{Ocr, OcrFile, OcrModels};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    ensure!(words.len() > 4, "RUNTIME DETECTOR RECOGNISER THREADS PICTURE...");
    let file =
        |path: &str| OcrFile { name: String::new(), digest: String::new(), path: path.into() };
    let models = OcrModels {
        runtime: words[0].as_str().into(),
        detector: file(&words[1]),
        recogniser: file(&words[2]),
    };
    let ocr = Ocr::new(models, words[3].parse().context("THREADS")?);
    let cancel = Cancel::new();
    ocr.read(RgbImage::new(64, 64), &cancel)?;
    for name in &words[4..] {
        let picture = ImageReader::open(name)?.decode()?.into_rgb8();
        let began = ProcessTime::now();
        let lines = ocr.read(picture, &cancel)?;
        let cpu = began.elapsed().as_secs_f64();
        let lines: Vec<Value> = lines
            .iter()
            .map(|line| {
                json!({
                    "text": line.text, "probability": line.probability,
                    "corners": line.quad.corners(),
                })
            })
            .collect();
        println!("{}", json!({ "picture": name, "lines": lines, "cpu": cpu }));
    }
    Ok(())
}
