//! The networks themselves, where they have been pulled.

use super::*;
use crate::onnx::runtime::test_model;
use image::{Rgb, imageops};
use rushes_fixtures::slide;

fn ocr() -> Option<Ocr> {
    let file = |name: &str, file: &str| {
        Some(OcrFile { name: name.into(), digest: String::new(), path: test_model(file)? })
    };
    let models = OcrModels {
        runtime: test_model("libonnxruntime.so")?,
        detector: file("pp-ocr-det", "PP-OCRv6_det_small.onnx")?,
        recogniser: file("pp-ocr-rec", "PP-OCRv6_rec_small.onnx")?,
    };
    Some(Ocr::new(models, NonZeroUsize::MIN))
}

fn picture() -> RgbImage {
    let rgb = slide(&["GREENLAND", "THE RESILIENT GARDEN"], 640, 360);
    RgbImage::from_raw(640, 360, rgb).unwrap()
}

fn texts(lines: &[TextLine]) -> Vec<&str> {
    lines.iter().map(|line| line.text.as_str()).collect()
}

#[test]
fn a_slide_is_read_upright_upside_down_and_turned() {
    let Some(ocr) = ocr() else { return };
    let cancel = Cancel::new();
    let lines = ocr.read(picture(), &cancel).unwrap();
    assert_eq!(texts(&lines), ["GREENLAND", "THE RESILIENT GARDEN"]);
    assert!(lines.iter().all(|line| line.probability > 0.9), "{lines:?}");
    // Drawn from x = 32, in letters of 6 × 8 pixels' pitch: 54 columns of 8 for the first line.
    let [x, y, width, height] = lines[0].quad.bounds(640, 360);
    assert!(x < 0.06 && (x + width) * 640.0 > 32.0 + 400.0, "{:?}", lines[0].quad);
    assert!(y * 360.0 < 60.0 && height * 360.0 > 30.0, "{:?}", lines[0].quad);

    let lines = ocr.read(imageops::rotate180(&picture()), &cancel).unwrap();
    let mut found = texts(&lines);
    found.sort_unstable();
    assert_eq!(found, ["GREENLAND", "THE RESILIENT GARDEN"]);
    assert!(lines[0].quad.along[0] < -0.9, "{lines:?}");

    let lines = ocr.read(imageops::rotate90(&picture()), &cancel).unwrap();
    let mut found = texts(&lines);
    found.sort_unstable();
    assert_eq!(found, ["GREENLAND", "THE RESILIENT GARDEN"]);
}

#[test]
fn pictures_without_text_have_none_and_any_size_is_taken() {
    let Some(ocr) = ocr() else { return };
    let cancel = Cancel::new();
    let wave = RgbImage::from_fn(320, 180, |x, y| Rgb([(x / 2) as u8, (y / 2) as u8, 90]));
    assert_eq!(ocr.read(wave, &cancel).unwrap(), []);
    for (width, height) in [(1, 1), (3000, 2), (2, 900)] {
        let grey = RgbImage::from_pixel(width, height, Rgb([90; 3]));
        assert_eq!(ocr.read(grey, &cancel).unwrap(), [], "{width}x{height}");
    }
    assert_eq!(ocr.read(RgbImage::new(0, 5), &cancel).unwrap_err().kind(), ErrorKind::Input);
    cancel.cancel();
    assert_eq!(ocr.read(picture(), &cancel).unwrap_err().kind(), ErrorKind::Cancelled);
}

#[test]
fn other_models_are_refused() {
    let Some(ocr) = ocr() else { return };
    let mut models = ocr.models().clone();
    std::mem::swap(&mut models.detector, &mut models.recogniser);
    let error = Ocr::new(models.clone(), NonZeroUsize::MIN).read(picture(), &Cancel::new());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Model);
    models.detector.path = "/nowhere.onnx".into();
    let error = Ocr::new(models, NonZeroUsize::MIN).read(picture(), &Cancel::new());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Model);
}
