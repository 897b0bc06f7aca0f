//! Speech to text: which stretches are speech ([`vad`]), what is said in them ([`recogniser`]),
//! whether to believe it, when each word is heard, and the result as a [`Transcript`] and as
//! [`subtitles`].

pub mod chunks;
pub mod clock;
pub mod coverage;
pub mod desk;
mod edges;
pub mod fallback;
pub mod guard;
pub mod journal;
pub mod languages;
pub mod onnx_whisper;
mod place;
pub mod prompt;
pub mod recogniser;
pub mod regions;
pub mod setup;
pub mod subtitles;
pub mod transcribe;
pub mod transcript;
pub mod vad;
pub mod whisper_cpp;
pub mod words;

pub use recogniser::{Recogniser, SAMPLE_RATE};
pub use setup::{ModelFile, Speech, SpeechEngine, SpeechModels, SpeechOptions};
pub use transcribe::{TranscribeCounts, TranscribeSettings, Transcriber};
pub use transcript::Transcript;
