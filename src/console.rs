//! What a person sees: a progress bar on a terminal, plain lines otherwise.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Lines on standard output; below them, on a terminal, a progress bar on standard error.
#[derive(Clone)]
pub struct Console {
    bars: MultiProgress,
    terminal: bool,
}

impl Console {
    /// A console on this process's streams.
    pub fn new() -> Self {
        Self {
            bars: MultiProgress::new(),
            terminal: io::stdout().is_terminal() && io::stderr().is_terminal(),
        }
    }

    /// Prints a line. That nobody reads it any more is no reason to stop.
    pub fn line(&self, text: impl fmt::Display) {
        self.bars.suspend(|| {
            let _ = writeln!(io::stdout(), "{text}");
        });
    }

    /// A bar over `total` things; hidden where there is no terminal.
    pub fn bar(&self, total: u64, done: u64, template: &str) -> ProgressBar {
        if !self.terminal {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template(template).expect("templates are literals");
        let bar = self.bars.add(ProgressBar::new(total).with_position(done).with_style(style));
        bar.enable_steady_tick(Duration::from_secs(1));
        bar
    }

    /// Whether there is a terminal to draw on.
    pub fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// A writer for log lines on standard error that doesn't tear the bars.
    pub fn log_writer(&self) -> impl Fn() -> LogWriter + Send + Sync + 'static {
        let bars = self.bars.clone();
        move || LogWriter(bars.clone())
    }
}

impl Default for Console {
    fn default() -> Self {
        Self::new()
    }
}

/// Writes whole log lines above the bars.
pub struct LogWriter(MultiProgress);

impl Write for LogWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // As for lines: that nobody reads them is no reason to stop.
        let _ = self.0.suspend(|| io::stderr().write_all(bytes));
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

/// A span of time in its two largest units: `2 h 05 min`, `3 min 07 s`, `12 s`.
pub fn duration(seconds: f64) -> String {
    let seconds = seconds.max(0.0).round() as u64;
    match (seconds / 86_400, seconds / 3600, seconds / 60) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min {:02} s", seconds % 60),
        (0, hours, minutes) => format!("{hours} h {:02} min", minutes % 60),
        (days, hours, _) => format!("{days} d {:02} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_readable() {
        let numbers = [0, 999, 1000, 50_000, 1_281_167].map(thousands);
        assert_eq!(numbers, ["0", "999", "1,000", "50,000", "1,281,167"]);
        let times = [0.4, 59.6, 187.0, 7500.0, 200_000.0].map(duration);
        assert_eq!(times, ["0 s", "1 min 00 s", "3 min 07 s", "2 h 05 min", "2 d 07 h"]);
    }
}
