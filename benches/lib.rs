//! Benchmarks of the Rushes engine.
//!
//! The comparisons with other programs are the Python scripts beside this file, since most peers
//! are Python packages: `run.py` runs every contender on the same work, in turn, and writes its
//! report to `results/`; `long.py` watches memory on a film of three hours.
//! `speech.py` compares speech to text, and counts errors in text that [`wer`] has made comparable.

pub mod wer;
