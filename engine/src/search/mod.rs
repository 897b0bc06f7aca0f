//! Finding moments again. So far: vectors by nearness ([`index`]).

pub mod index;
