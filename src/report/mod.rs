//! `simsiam report`: runs as one HTML file that opens offline. [`serve`](crate::serve) sends the same page live.
//!
//! - `groups`: runs that differ only in their seeds, as one line with a band.
//! - `charts`: which quantities are drawn; `series`: their points, and how many of them are kept.
//! - `tables`, `pipeline`, `evaluations`, `quarantine`: the parts that are text.
//! - `samples`: images, where they are asked for.
//! - `content`: all that a page shows; `page`: the file around it.

mod charts;
mod content;
mod evaluations;
mod groups;
mod page;
mod pipeline;
mod quarantine;
mod samples;
mod series;
mod tables;

pub use self::content::{Content, Links};
pub use self::page::{Place, page};
