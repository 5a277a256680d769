//! What is told: bars on a terminal, plain lines otherwise, or JSON for programs.

mod log;
mod phase;

pub use log::{LogFormat, Verbosity};
pub(crate) use phase::left;
pub use phase::{Phase, Unit};

use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use self::log::{NoFields, write_json};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use simsiam_pipeline::shards::{IndexProgress, OpenOptions};
use tracing::level_filters::LevelFilter;

use crate::error::{CLOSED_PIPE, InputError, exit_code};

/// Lines on standard output; below them, where standard error is a terminal, bars on it.
#[derive(Clone)]
pub struct Console {
    bars: MultiProgress,
    /// Whether standard error can be drawn on.
    draws: bool,
    /// Whether what is printed stands above the bars.
    same_screen: bool,
    format: LogFormat,
    verbosity: Verbosity,
    voice: Voice,
}

/// Which of the processes that were started together this is.
#[derive(Clone)]
enum Voice {
    /// The one that speaks, or a process alone.
    First,
    /// Another. It says why it ends, and logs what the first cannot know of.
    Other {
        /// What its log lines begin with.
        name: Arc<str>,
        /// Whether what it does is no longer the same as the first does.
        logs: Arc<AtomicBool>,
    },
}

impl Console {
    /// A console on this process's streams.
    pub fn new(format: LogFormat, verbosity: Verbosity) -> Self {
        let term = env::var("TERM");
        let may_draw =
            format == LogFormat::Text && verbosity != Verbosity::Quiet && io::stderr().is_terminal();
        let draws = may_draw && term.is_ok_and(|term| !term.is_empty() && term != "dumb");
        let target = if draws { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bars = MultiProgress::with_draw_target(target);
        Self {
            bars,
            draws,
            same_screen: draws && io::stdout().is_terminal(),
            format,
            verbosity,
            voice: Voice::First,
        }
    }

    /// That of a process of several that is not the first: it is silent, but for errors and, later, its log.
    #[must_use]
    pub fn of_other(self, name: String) -> Self {
        let voice = Voice::Other { name: name.into(), logs: Arc::default() };
        Self { voice, verbosity: Verbosity::Quiet, ..self }
    }

    /// From here on, other processes than the first log, too.
    pub fn begin_log_of_others(&self) {
        if let Voice::Other { logs, .. } = &self.voice {
            logs.store(true, Ordering::Relaxed);
        }
    }

    /// Logs on standard error from now on, above the bars: warnings, or what `--verbose` or else `SIMSIAM_LOG` says.
    ///
    /// # Errors
    /// If that is no level.
    pub fn log(&self) -> anyhow::Result<()> {
        let of_environment = env::var_os("SIMSIAM_LOG").filter(|level| !level.is_empty());
        let level = match (self.verbosity, of_environment) {
            (Verbosity::Verbose, _) => LevelFilter::INFO,
            (Verbosity::Debug, _) => LevelFilter::DEBUG,
            (_, None) => LevelFilter::WARN,
            (_, Some(level)) => level_of(level.to_str().unwrap_or_default()).ok_or_else(|| {
                let (level, allowed) = (level.display(), LEVELS.join(", "));
                InputError::new(format!("SIMSIAM_LOG={level}: must be one of {allowed}"))
            })?,
        };
        let no_color = env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let writer = LogWriter { bars: self.bars.clone(), format: self.format, voice: self.voice.clone() };
        let log = tracing_subscriber::fmt()
            .with_max_level(level)
            .with_target(false)
            .with_ansi(self.draws && !no_color)
            .with_writer(move || writer.clone());
        match self.format {
            LogFormat::Text => log.without_time().init(),
            LogFormat::Json => {
                log.json().flatten_event(true).with_current_span(false).with_span_list(false).init()
            }
        }
        Ok(())
    }

    /// Prints a line of what goes on. That nobody reads it any more is no reason to stop.
    pub fn line(&self, text: impl fmt::Display) {
        match (self.verbosity, self.format) {
            (Verbosity::Quiet, _) => {}
            (_, LogFormat::Text) => drop(self.result(text)),
            (_, LogFormat::Json) => {
                write_json("INFO", text.to_string().trim_start_matches("# "), NoFields {})
            }
        }
    }

    /// Tells what was measured: as `text` for people, as `message` with fields for programs.
    pub fn measured(&self, message: &str, fields: &impl Serialize, text: impl fmt::Display) {
        match (self.verbosity, self.format) {
            (Verbosity::Quiet, _) => {}
            (_, LogFormat::Text) => self.line(text),
            (_, LogFormat::Json) => write_json("INFO", message, fields),
        }
    }

    /// Says why the program ends.
    pub fn error(&self, error: &anyhow::Error) {
        match self.format {
            // `eprintln` would panic where nobody listens any more.
            LogFormat::Text => drop(writeln!(io::stderr(), "error: {error:#}")),
            LogFormat::Json => write_json("ERROR", &format!("{error:#}"), NoFields {}),
        }
    }

    /// Says why the program ends, unless nobody listens: its exit code.
    pub fn failed(&self, error: &anyhow::Error) -> ExitCode {
        let code = exit_code(error);
        if code != CLOSED_PIPE {
            self.error(error);
        }
        code.into()
    }

    /// Prints what the program was run for.
    ///
    /// # Errors
    /// If it cannot be written; whoever read it may have left.
    pub fn result(&self, text: impl fmt::Display) -> io::Result<()> {
        if let Voice::Other { .. } = self.voice {
            return Ok(());
        }
        self.bars.suspend(|| {
            let mut out = io::stdout().lock();
            writeln!(out, "{text}").and_then(|()| out.flush())
        })
    }

    /// A phase of work over `total` things: a bar, or else a line now and then.
    pub fn phase(&self, name: impl Into<String>, total: u64, unit: Unit) -> Phase {
        let name = name.into();
        match self.verbosity {
            Verbosity::Quiet => Phase::hidden(),
            _ if self.draws => Phase::bar(&self.bars, name, total, unit),
            _ => Phase::plain(self.format, name, total, unit),
        }
    }

    /// Options for opening shards, whose indexing is a phase of its own until they are dropped.
    pub fn open_options(&self) -> OpenOptions {
        let (console, phase) = (self.clone(), OnceLock::new());
        let progress = IndexProgress::new(move |done, total| {
            let phase: &Phase = phase.get_or_init(|| console.phase("indexing shards", total, Unit::Bytes));
            phase.set_length(total);
            phase.set_position(done);
        });
        OpenOptions { progress, ..OpenOptions::default() }
    }

    /// A bar of another form; hidden where it cannot be drawn.
    pub fn bar(&self, total: u64, done: u64, style: ProgressStyle) -> ProgressBar {
        self.bars.add(ProgressBar::new(total).with_position(done).with_style(style))
    }

    /// Whether bars stand under what is printed, and so show what a line now and then need not.
    pub fn shows_bars(&self) -> bool {
        self.same_screen
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new(LogFormat::default(), Verbosity::default())
    }
}

/// What `SIMSIAM_LOG` may say, from least to most.
const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

fn level_of(name: &str) -> Option<LevelFilter> {
    let known = LEVELS.iter().any(|level| level.eq_ignore_ascii_case(name));
    name.parse().ok().filter(|_| known)
}

/// Writes whole log lines above the bars.
#[derive(Clone)]
struct LogWriter {
    bars: MultiProgress,
    format: LogFormat,
    voice: Voice,
}

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let line = match (&self.voice, self.format) {
            (Voice::First, _) => bytes.to_vec(),
            (Voice::Other { logs, .. }, _) if !logs.load(Ordering::Relaxed) => return Ok(bytes.len()),
            (Voice::Other { name, .. }, LogFormat::Text) => [name.as_bytes(), b": ", bytes].concat(),
            // An object, whose first field it becomes.
            (Voice::Other { name, .. }, LogFormat::Json) => {
                let field = format!("{{\"process\":{},", serde_json::json!(**name));
                [field.as_bytes(), bytes.strip_prefix(b"{").unwrap_or(bytes)].concat()
            }
        };
        // As for lines: that nobody reads them is no reason to stop.
        let _ = self.bars.suspend(|| io::stderr().write_all(&line));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// A whole number with thousands set apart: `50,000`.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    let groups = (head..digits.len()).step_by(3).map(|start| &digits[start..start + 3]);
    let groups: Vec<&str> = (head > 0).then(|| &digits[..head]).into_iter().chain(groups).collect();
    groups.join(",")
}

/// A number of things: `1 epoch`, `1,200 epochs`.
pub fn counted(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A rate: `231`, and below ten `3.2`.
pub fn per_second(rate: f64) -> String {
    if rate < 10.0 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

/// A span of time in its two largest units: `2 h 05 min`, `3 min 07 s`, `12 s`; at most [`DURATION_WIDTH`] characters.
pub fn duration(seconds: f64) -> String {
    // What a loader that has stalled leads to is no better known than that.
    let seconds = seconds.clamp(0.0, 9999.0 * 86_400.0).round() as u64;
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {:02} min", minutes % 60),
        (days, hours, _) => format!("{days} d {:02} h", hours % 24),
    }
}

/// Characters of the longest duration.
pub const DURATION_WIDTH: usize = 11;

#[cfg(test)]
pub(crate) mod tests {
    pub(crate) use super::phase::tests::Screen;
    use super::*;

    #[test]
    fn numbers_and_times_are_readable() {
        let numbers = [0, 999, 1000, 50_000, 1_281_167].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "50,000", "1,281,167"]);
        let times = [0.4, 59.6, 187.0, 7500.0, 200_000.0].map(duration);
        assert_eq!(times, ["0 s", "1 min 00 s", "3 min 07 s", "2 h 05 min", "2 d 07 h"]);
        for seconds in [3599.0, 86_399.0, 1e12, f64::INFINITY, f64::NAN] {
            assert!(duration(seconds).len() <= DURATION_WIDTH, "{}", duration(seconds));
        }
    }

    #[test]
    fn log_levels_have_names() {
        assert_eq!(["off", "Debug", "warn"].map(level_of).map(|level| level.is_some()), [true; 3]);
        assert_eq!(["", "3", "verbose", "warning"].map(level_of), [None; 4]);
    }
}
