//! `simsiam report`: runs as one HTML file that opens offline.
//!
//! - `groups`: runs that differ only in their seeds, as one line with a band.
//! - `charts`: which quantities are drawn; `series`: their points, and how many of them are kept.
//! - `page`: the file; `tables`: its parts that are text.

mod charts;
mod groups;
mod page;
mod series;
mod tables;

pub use self::page::page;
