//! Log lines: text for people, or a JSON object a line for programs.

use std::io::{self, Write};

use serde::Serialize;

use crate::metrics::now;

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// Lines for people, progress on standard output
    #[default]
    Text,
    /// One JSON object per line on standard error, with timestamp, level, message and fields; no bars
    Json,
}

/// How much is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings, errors and results.
    Quiet,
    /// Progress too.
    #[default]
    Normal,
    /// What is worth knowing of the work behind it, too.
    Verbose,
    /// What helps to find a fault, too.
    Debug,
}

/// A log line, as `tracing`'s events are written in JSON.
#[derive(Serialize)]
struct Record<'a, F> {
    timestamp: String,
    level: &'a str,
    message: &'a str,
    #[serde(flatten)]
    fields: F,
}

/// Without fields.
#[derive(Serialize)]
pub(super) struct NoFields {}

/// Writes a JSON line on standard error. That nobody reads it is no reason to stop.
pub(super) fn write_json(level: &str, message: &str, fields: impl Serialize) {
    let record = Record { timestamp: now(), level, message, fields };
    if let Ok(mut line) = serde_json::to_string(&record) {
        line.push('\n');
        let _ = io::stderr().write_all(line.as_bytes());
    }
}
