//! The order of training.

use serde::{Deserialize, Serialize};
use simsiam_pipeline::Order;

/// How an epoch's order is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Shuffle {
    /// From all images.
    #[default]
    Whole,
    /// Shards in a new order, and images from so many of them at a time.
    Window(usize),
}

impl Shuffle {
    /// Shards of a window, where nobody says how many.
    const WINDOW: usize = 8;

    /// As the pipeline has it.
    pub fn order(self) -> Order {
        match self {
            Self::Whole => Order::Shuffled,
            Self::Window(shards) => Order::Windows { shards },
        }
    }
}

impl std::str::FromStr for Shuffle {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shards = match text {
            "whole" => return Ok(Self::Whole),
            "window" => Some(Self::WINDOW),
            text => text
                .strip_prefix("window=")
                .and_then(|shards| shards.parse().ok())
                .filter(|&shards| shards > 0),
        };
        shards.map(Self::Window).ok_or_else(|| {
            format!("`{text}` is neither `whole`, `window` nor `window=N` with a number of shards")
        })
    }
}

impl TryFrom<String> for Shuffle {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Shuffle> for String {
    fn from(shuffle: Shuffle) -> String {
        match shuffle {
            Shuffle::Whole => "whole".into(),
            Shuffle::Window(shards) => format!("window={shards}"),
        }
    }
}
