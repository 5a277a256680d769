//! A phase of work that may take long: how far it is, and how much time is left.

use std::io::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressState, ProgressStyle};

use super::log::{LogFormat, NoFields, write_json};
use super::{DURATION_WIDTH, duration, thousands};

/// What a phase counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things of this name, such as `images`.
    Things(&'static str),
    /// Bytes, which are shown in megabytes.
    Bytes,
}

/// A phase under way. It is over, and its bar gone, when this value is dropped; clones stand for the same phase.
#[derive(Clone)]
pub struct Phase(Arc<Form>);

enum Form {
    Bar(ProgressBar),
    Plain(Plain),
    Hidden,
}

/// Lines now and then on standard error, for logs and for terminals that cannot be drawn on.
struct Plain {
    format: LogFormat,
    name: String,
    unit: Unit,
    total: AtomicU64,
    done: AtomicU64,
    began: Instant,
    /// After so much time another line is due.
    due: Mutex<Duration>,
}

/// A phase that takes less has no line.
const FIRST_LINE: Duration = Duration::from_secs(2);
/// Each line comes after twice the time of the one before, but at least this often.
const LONGEST_SILENCE: Duration = Duration::from_secs(60);

impl Phase {
    /// A phase that nobody sees.
    pub fn hidden() -> Self {
        Self(Form::Hidden.into())
    }

    pub(super) fn bar(bars: &MultiProgress, name: String, total: u64, unit: Unit) -> Self {
        let bar = bars.add(ProgressBar::new(total).with_style(style(unit)).with_prefix(name));
        bar.enable_steady_tick(Duration::from_secs(1));
        Self(Form::Bar(bar).into())
    }

    pub(super) fn plain(format: LogFormat, name: String, total: u64, unit: Unit) -> Self {
        let (total, done) = (total.into(), 0.into());
        let due = FIRST_LINE.into();
        Self(Form::Plain(Plain { format, name, unit, total, done, began: Instant::now(), due }).into())
    }

    /// So many more are done.
    pub fn inc(&self, more: u64) {
        match &*self.0 {
            Form::Bar(bar) => bar.inc(more),
            Form::Plain(plain) => plain.reached(plain.done.fetch_add(more, Ordering::Relaxed) + more),
            Form::Hidden => {}
        }
    }

    /// So many are done.
    pub fn set_position(&self, done: u64) {
        match &*self.0 {
            Form::Bar(bar) => bar.set_position(done),
            Form::Plain(plain) => {
                plain.done.store(done, Ordering::Relaxed);
                plain.reached(done);
            }
            Form::Hidden => {}
        }
    }

    /// So many there are.
    pub fn set_length(&self, total: u64) {
        match &*self.0 {
            Form::Bar(bar) => bar.set_length(total),
            Form::Plain(plain) => plain.total.store(total, Ordering::Relaxed),
            Form::Hidden => {}
        }
    }
}

impl Drop for Form {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

impl Plain {
    fn reached(&self, done: u64) {
        // Another thread that looks at the clock is enough.
        let Ok(mut due) = self.due.try_lock() else { return };
        let passed = self.began.elapsed();
        if passed >= *due {
            *due = passed + passed.min(LONGEST_SILENCE);
            let line = self.line(done, passed);
            match self.format {
                // That nobody reads it is no reason to stop.
                LogFormat::Text => drop(writeln!(io::stderr(), "{line}")),
                LogFormat::Json => write_json("INFO", &line, NoFields {}),
            }
        }
    }

    fn line(&self, done: u64, passed: Duration) -> String {
        let total = self.total.load(Ordering::Relaxed);
        let left = passed.as_secs_f64() * total.saturating_sub(done) as f64 / done.max(1) as f64;
        let percent = 100 * done / total.max(1);
        let count = count(done, total, self.unit);
        format!("{}: {} ({percent} %), {} left", self.name, count.trim_start(), duration(left))
    }
}

/// A line of at most 80 characters, each part of which keeps its width.
fn style(unit: Unit) -> ProgressStyle {
    ProgressStyle::with_template("{prefix} [{wide_bar}] {count} {left}")
        .expect("the template is a literal")
        .progress_chars("=> ")
        .with_key("count", move |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = to.write_str(&count(state.pos(), state.len().unwrap_or(0), unit));
        })
        .with_key("left", |state: &ProgressState, to: &mut dyn std::fmt::Write| {
            let _ = to.write_str(&left(Some(state.eta().as_secs_f64()).filter(|_| state.pos() > 0)));
        })
}

/// `12,800/50,000 images`, as wide at the beginning as at the end.
fn count(done: u64, total: u64, unit: Unit) -> String {
    let (done, total, name) = match unit {
        Unit::Things(name) => (done, total, name),
        Unit::Bytes => (done / 1_000_000, total.div_ceil(1_000_000), "MB"),
    };
    let total = thousands(total);
    format!("{:>width$}/{total} {name}", thousands(done), width = total.len())
}

/// `3 min 07 s left`, or as many spaces.
pub(crate) fn left(seconds: Option<f64>) -> String {
    match seconds {
        Some(seconds) => format!("{:>DURATION_WIDTH$} left", duration(seconds)),
        None => " ".repeat(DURATION_WIDTH + " left".len()),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use indicatif::{ProgressDrawTarget, TermLike};

    use super::*;

    /// A terminal of 80 columns that keeps what was drawn last, line behind line.
    #[derive(Clone, Debug, Default)]
    pub(crate) struct Screen(Arc<Mutex<Drawn>>);

    /// What is being drawn, and what was last drawn as a whole: a bar's own thread may draw it at any time.
    #[derive(Debug, Default)]
    struct Drawn {
        pending: String,
        whole: String,
    }

    impl Screen {
        pub(crate) fn bars(&self) -> MultiProgress {
            MultiProgress::with_draw_target(ProgressDrawTarget::term_like(Box::new(self.clone())))
        }

        /// Its lines, once `bar` is drawn anew.
        pub(crate) fn lines(&self, bar: &ProgressBar) -> Vec<String> {
            bar.force_draw();
            let drawn = &self.0.lock().unwrap().whole;
            // What is drawn are whole lines, filled up with spaces.
            assert!(drawn.is_ascii() && drawn.len().is_multiple_of(80), "{drawn:?}");
            let lines = drawn.as_bytes().chunks(80).map(String::from_utf8_lossy);
            lines.map(|line| line.trim_end().to_owned()).collect()
        }
    }

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, line: &str) -> io::Result<()> {
            self.write_str(&format!("{line}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().pending.push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }
        fn flush(&self) -> io::Result<()> {
            let mut drawn = self.0.lock().unwrap();
            if !drawn.pending.is_empty() {
                drawn.whole = std::mem::take(&mut drawn.pending);
            }
            Ok(())
        }
    }

    #[test]
    fn a_bar_fits_80_columns_and_keeps_its_width() {
        let screen = Screen::default();
        let phase =
            Phase::bar(&screen.bars(), "kNN, epoch 800/800".into(), 1_331_167, Unit::Things("images"));
        let Form::Bar(bar) = &*phase.0 else { panic!("a bar") };
        let mut widths = Vec::new();
        for done in [0, 7, 128_000, 1_331_166] {
            phase.set_position(done);
            let lines = screen.lines(bar);
            let [line] = &lines[..] else { panic!("{lines:?}") };
            widths.push(line.find(']').unwrap() - line.find('[').unwrap());
        }
        assert_eq!(widths, vec![widths[0]; 4]);
        assert!(widths[0] > 10);
    }

    #[test]
    fn counts_and_times_keep_their_width() {
        let counts = [0, 128_000].map(|done| count(done, 1_331_167, Unit::Things("images")));
        assert_eq!(counts, ["        0/1,331,167 images", "  128,000/1,331,167 images"]);
        assert_eq!(left(None).len(), left(Some(86_399.0)).len());
    }

    #[test]
    fn a_line_says_how_much_is_done_and_left() {
        let phase = Phase::plain(LogFormat::Text, "indexing".into(), 4_000_000_000, Unit::Bytes);
        let Form::Plain(plain) = &*phase.0 else { panic!("a plain phase") };
        let line = plain.line(1_000_000_000, Duration::from_secs(20));
        assert_eq!(line, "indexing: 1,000/4,000 MB (25 %), 1 min 00 s left");
    }
}
