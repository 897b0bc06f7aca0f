//! Vectors by nearness: exact for small sets, a frozen graph for large ones, durable both.
//!
//! A [`VectorStore`] reads a folder that one [`VectorWriter`] at a time writes. In the folder lie a
//! *frozen* part (graph, vectors of 8 and of 32 bits, mapped into memory, never changed) and a
//! *journal* of what was added and removed since, which is searched exactly. When the journal has
//! grown past a fifth of the frozen part, the writer freezes everything anew.
//!
//! ```no_run
//! use rushes::control::Cancel;
//! use rushes::search::index::{Filter, Space, VectorWriter};
//!
//! let space = Space::new("all-MiniLM-L6-v2", 3)?;
//! let mut writer = VectorWriter::open("library/vectors".as_ref(), &space)?;
//! writer.add(&[(7, space.vector(&[0.1, 0.2, 0.3])?)])?;
//! writer.rebuild_if_due(&Cancel::new())?;
//! let hits = writer.store().search(&space.vector(&[0.1, 0.2, 0.2])?, 10, Filter::All)?;
//! assert_eq!(hits[0].id, 7);
//! # Ok::<(), rushes::Error>(())
//! ```

mod build;
mod exact;
mod frozen;
mod journal;
mod layout;
mod map;
mod rows;
mod search;
mod simd;
mod space;
mod store;
mod top;
mod walk;
mod writer;

pub use search::Filter;
pub use space::{Hit, MAX_DIM, Space, Vector};
pub use store::{StoreSize, VectorStore};
pub use writer::VectorWriter;

#[cfg(test)]
mod tests;
