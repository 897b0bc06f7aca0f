//! Pictures out: files, contact sheets, sprite sheets with their WebVTT track, animated previews.

mod digits;
mod encode;
mod name;
mod preview;
mod read;
mod sheet;
mod sprite;

pub use encode::PictureFormat;
pub use name::{NameTemplate, TemplateError};
pub use preview::{Animation, AnimationFormat, animate};
pub use read::read_picture;
pub use sheet::{SheetLayout, Tile, contact_sheet};
pub use sprite::{SpriteLayout, Sprites, sprites};
