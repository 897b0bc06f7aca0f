//! ONNX Runtime, loaded from a file once per process.
//!
//! The library is an artefact like a model: a caller finds it and gives its path. Nothing is loaded
//! before, so a program that never asks for it needs none.

use crate::error::{Error, ErrorKind, Result, Stage};
use ort::environment::Environment;
use ort::logging::LogLevel;
use ort::session::Session;
use ort::session::builder::{GraphOptimizationLevel, SessionBuilder};
use rushes_models::convert::check_onnx;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// What gets the library where it is missing.
const HINT: &str = "run `rushes models pull onnxruntime`";

/// The one runtime of the process. It is never unloaded: sessions may live as long as the process.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// ONNX Runtime: what sessions are made with. Cheap to clone.
#[derive(Clone, Debug)]
pub struct OnnxRuntime {
    environment: Environment,
    library: Arc<Path>,
}

impl OnnxRuntime {
    /// Loads the shared library at `library`, or gives what is loaded already.
    ///
    /// A process holds one ONNX Runtime. Asking again for the same file gives the same runtime;
    /// asking for another file is an error. The library logs nothing and sends no telemetry.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the file is missing, is no ONNX Runtime or one too old, or where
    /// another is loaded. A failed call may be repeated with another path.
    pub fn load(library: &Path) -> Result<Self> {
        let library = std::fs::canonicalize(library).map_err(|error| {
            Error::new(ErrorKind::Model, Stage::Model, format!("onnxruntime library: {error}"))
                .input(library)
                .hint(HINT)
                .source(error)
        })?;
        if !library.is_file() {
            return Err(model("is no shared library of onnxruntime", &library).hint(HINT));
        }
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            if *runtime.library == *library {
                return Ok(runtime.clone());
            }
            let message = format!(
                "another onnxruntime is in use in this process: {}",
                runtime.library.display()
            );
            return Err(model(message, &library).hint("use one library for all models"));
        }
        let builder = ort::init_from(&library)
            .map_err(|error| model(error.to_string(), &library).hint(HINT))?;
        let environment = builder
            .with_name("rushes")
            .with_telemetry(false)
            // Without a logger of ours it writes to stderr.
            .with_logger(Arc::new(|_, _, _, _, _| {}))
            .build()
            .map_err(|error| model(error.to_string(), &library).hint(HINT))?;
        environment.set_log_level(LogLevel::Fatal);
        let runtime = Self { environment, library: library.into() };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }

    /// The library's file.
    pub fn library(&self) -> &Path {
        &self.library
    }

    /// The execution provider that runs every session, as ONNX Runtime calls it.
    pub fn provider(&self) -> &'static str {
        "CPUExecutionProvider"
    }

    /// Opens the model at `path`, to be run by one thread at a time with `threads` threads inside.
    /// The file is checked before ONNX Runtime sees it: one that names other files, or whose sizes
    /// are not those of its data, is refused.
    ///
    /// The threads do not spin while they wait for work: spinning was measured to cost up to 2.4
    /// times the CPU on a busy machine.
    ///
    /// # Errors
    /// [`ErrorKind::Model`] where the file is missing or is no model that this runtime takes.
    pub fn session(&self, path: &Path, threads: NonZeroUsize) -> Result<Session> {
        if !path.is_file() {
            return Err(model("no such model file", path)
                .hint("`rushes models list` shows what can be pulled"));
        }
        check_onnx(path).map_err(|error| {
            model(error.to_string(), path)
                .hint("`rushes models verify` tells whether the file is damaged")
                .source(error)
        })?;
        let open = || self.options(threads)?.commit_from_file(path);
        open().map_err(|error| {
            model(error.to_string(), path)
                .hint("`rushes models verify` tells whether the file is damaged")
        })
    }

    /// How every session is run: see [`OnnxRuntime::session`].
    pub(crate) fn options(&self, threads: NonZeroUsize) -> ort::Result<SessionBuilder> {
        Ok(Session::builder(&self.environment)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .with_intra_threads(threads.get())?
            .with_inter_threads(1)?
            .with_intra_op_spinning(false)?
            .with_inter_op_spinning(false)?
            .with_log_level(LogLevel::Fatal)?)
    }
}

/// An error about the file of a model or of the library.
fn model(message: impl Into<std::borrow::Cow<'static, str>>, path: &Path) -> Error {
    Error::new(ErrorKind::Model, Stage::Model, message).input(path)
}

/// The error of a model at `path` that failed while it ran.
pub(crate) fn run_failed(error: &dyn std::fmt::Display, path: &Path) -> Error {
    model(format!("the model failed: {error}"), path)
}

/// The error of a model at `path` whose inputs or outputs are not those of `what`.
pub(crate) fn misfit(what: &'static str, path: &Path) -> Error {
    model(format!("is not {what}"), path)
        .hint("`rushes models verify` tells whether the file is the right one")
}

/// A file of the model store that tests share, if it has been pulled.
#[cfg(test)]
pub(crate) use rushes_fixtures::model as test_model;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_an_error_with_a_remedy() {
        let error = OnnxRuntime::load(Path::new("/nowhere/libonnxruntime.so")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Model);
        assert!(error.to_string().contains("rushes models pull onnxruntime"), "{error}");
    }

    #[test]
    fn what_is_no_library_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("libonnxruntime.so");
        std::fs::write(&path, b"not a library").unwrap();
        for path in [path.as_path(), folder.path()] {
            let error = OnnxRuntime::load(path).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model, "{error}");
        }
    }

    #[test]
    fn is_loaded_once() {
        let Some(library) = test_model("libonnxruntime.so") else { return };
        let first = OnnxRuntime::load(&library).unwrap();
        let second = OnnxRuntime::load(&library).unwrap();
        assert_eq!(first.library(), second.library());
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join("other.so");
        std::fs::write(&copy, b"x").unwrap();
        let error = OnnxRuntime::load(&copy).unwrap_err();
        assert!(error.message().contains("another onnxruntime"), "{error}");
    }

    #[test]
    fn a_file_that_is_no_model_is_an_error() {
        let Some(library) = test_model("libonnxruntime.so") else { return };
        let runtime = OnnxRuntime::load(&library).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("model.onnx");
        std::fs::write(&path, [0x08, 0x09, 0xff, 0xff, 0xff]).unwrap();
        for path in [path.as_path(), folder.path()] {
            let error = runtime.session(path, NonZeroUsize::MIN).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model, "{error}");
        }
    }

    /// A length-delimited protobuf field of less than 128 bytes.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
    }

    #[test]
    fn a_hostile_model_is_refused_before_it_is_loaded() {
        let Some(library) = test_model("libonnxruntime.so") else { return };
        let runtime = OnnxRuntime::load(&library).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let inside = folder.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        std::fs::write(folder.path().join("secret"), 1.5_f32.to_le_bytes()).unwrap();
        // One output, and a weight behind it: dimensions, type, name, and where its data is.
        let model = |dims: &[u8], about: &[u8]| {
            let weight = [field(1, dims), vec![2 << 3, 1], field(8, b"w"), about.to_vec()].concat();
            let node = [field(1, b"w"), field(2, b"y"), field(4, b"Identity")].concat();
            let floats = field(2, &field(1, &[1 << 3, 1]));
            let output = [field(1, b"y"), floats].concat();
            let graph =
                [field(1, &node), field(2, b"g"), field(5, &weight), field(12, &output)].concat();
            // ir_version 8, opset 17.
            [vec![1 << 3, 8], field(7, &graph), field(8, &[2 << 3, 17])].concat()
        };
        let entry =
            |key: &[u8], value: &[u8]| field(13, &[field(1, key), field(2, value)].concat());
        let outside = [entry(b"location", b"../secret"), vec![14 << 3, 1]].concat();
        let refused = |name: &str, bytes: &[u8]| {
            let path = inside.join(name);
            std::fs::write(&path, bytes).unwrap();
            let error = runtime.session(&path, NonZeroUsize::MIN).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Model, "{error}");
            error.to_string()
        };
        assert!(refused("climbs.onnx", &model(&[1], &outside)).contains("another file"));
        // 2^35 numbers, by its header.
        let huge = [0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert!(refused("huge.onnx", &model(&huge, &field(9, &[0; 4]))).contains("too large"));
        // The same with its data in the file is a model like any other.
        let good = inside.join("good.onnx");
        std::fs::write(&good, model(&[1], &field(9, &1.5_f32.to_le_bytes()))).unwrap();
        assert_eq!(runtime.session(&good, NonZeroUsize::MIN).unwrap().outputs().len(), 1);
    }
}
