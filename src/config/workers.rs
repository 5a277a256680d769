//! How many threads decode.

use std::str::FromStr;

use serde::{Deserialize, Serialize};
use simsiam_pipeline::PipelineConfig;

use crate::process::cores;

/// How many threads decode and augment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "toml::Value", try_from = "toml::Value")]
pub enum Workers {
    /// One for every two cores, at least one: the model takes the rest.
    Auto,
    /// This many.
    Count(usize),
}

impl Workers {
    /// The number of threads.
    pub fn count(self) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Auto => cores().div_ceil(2),
        }
    }
}

impl FromStr for Workers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const MOST: usize = PipelineConfig::MAX_WORKERS;
        match text {
            "auto" => Ok(Self::Auto),
            _ => match text.parse() {
                Ok(count @ 1..=MOST) => Ok(Self::Count(count)),
                _ => Err(format!("`{text}` is neither `auto` nor a number from 1 to {MOST}")),
            },
        }
    }
}

impl TryFrom<toml::Value> for Workers {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        value.as_str().map_or_else(|| value.to_string(), str::to_owned).parse()
    }
}

impl From<Workers> for toml::Value {
    fn from(workers: Workers) -> Self {
        match workers {
            Workers::Auto => "auto".into(),
            Workers::Count(count) => (count as i64).into(),
        }
    }
}
