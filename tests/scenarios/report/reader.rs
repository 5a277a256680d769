//! The pages as a reader has them, in a browser where there is one.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use super::three_runs;
use crate::accessibility;
use crate::browser::Browser;
use crate::fixture::{simsiam, succeed};
use crate::serve::Serving;

/// Does what a reader does, by pointer and by keyboard, and notes what can be seen then.
const READ: &str = r#"(async () => {
  const seen = {}, later = () => new Promise((done) => setTimeout(done, 50));
  const until = async (holds) => { for (let times = 0; times < 400 && !holds(); times++) await later(); };
  const [plot] = document.querySelectorAll(".plot"), step = document.querySelector(".step");
  const ticks = () => [charts[0].u.scales.x.min, charts[0].u.scales.x.max];
  seen.before = step.textContent;
  plot.focus();
  seen.focused = document.activeElement === plot;
  plot.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  await until(() => step.textContent !== seen.before);
  seen.byKey = step.textContent;
  const over = plot.querySelector(".u-over"), box = over.getBoundingClientRect();
  over.dispatchEvent(new MouseEvent("mouseenter", { clientX: box.left, clientY: box.top }));
  over.dispatchEvent(new MouseEvent("mousemove", { clientX: box.right - 1, clientY: box.top + 9, bubbles: true }));
  await until(() => step.textContent !== seen.byKey);
  seen.byPointer = step.textContent;
  const all = ticks();
  document.querySelector("[data-zoom=in]").click();
  await until(() => ticks()[0] !== all[0]);
  seen.zoomed = ticks();
  document.querySelector("[data-zoom=all]").click();
  await until(() => ticks()[0] === all[0]);
  seen.all = ticks();
  seen.unreachable = [...document.querySelectorAll("a[href], button, summary, [tabindex]")].filter((one) => one.tabIndex < 0).length;
  seen.wide = document.documentElement.scrollWidth > innerWidth;
  return seen;
})()"#;

/// The charts that are drawn.
const DRAWN: &str = "document.querySelectorAll('.u-wrap').length";

/// A report of three runs, opened.
fn report(browser: &mut Browser, dir: &Path) {
    let out = dir.join("report.html");
    succeed(simsiam().arg("report").args(three_runs(dir)).arg("--out").arg(&out));
    browser.open(&format!("file://{}", out.display()));
}

#[test]
fn the_page_draws_its_charts_without_a_word_on_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let Some(mut browser) = Browser::start(1440) else { return };
    report(&mut browser, dir.path());
    assert_eq!(browser.evaluate(DRAWN), 8);
    let page = browser.evaluate("document.documentElement.outerHTML");
    let page = page.as_str().unwrap();
    assert!(page.contains("No run has this yet."), "these runs have no queue");
    // The two lines of the legend, and a button for each column of the table of runs.
    assert_eq!(page.matches("aria-pressed=\"true\"").count(), 2);
    assert!(page.contains("<button type=\"button\">Verdict</button>"));
    assert!(page.contains("-0.6 (-0.7 to -0.5)"), "the last values are beneath the chart");
    accessibility::check(&mut browser);
    assert!(browser.console.is_empty(), "{:?}", browser.console);
}

#[test]
fn hover_zoom_and_keyboard_work_on_a_wide_and_a_narrow_screen() {
    for width in [1440, 500] {
        let dir = tempfile::tempdir().unwrap();
        let Some(mut browser) = Browser::start(width) else { return };
        report(&mut browser, dir.path());
        let expected = serde_json::json!({
            "before": "last values", "focused": true, "byKey": "step 0", "byPointer": "step 200",
            "zoomed": [50, 150], "all": [0, 200], "unreachable": 0, "wide": false,
        });
        assert_eq!(browser.evaluate(READ), expected, "{width}: {:?}", browser.console);
        assert!(browser.console.is_empty(), "{:?}", browser.console);
    }
}

#[test]
fn the_live_page_follows_its_runs_and_connects_to_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let [.., alone] = three_runs(dir.path());
    let serving = Serving::of(dir.path());
    let Some(mut browser) = Browser::start(1440) else { return };
    browser.open(&serving.url());
    browser.wait_until("document.querySelector('[role=status]').textContent === 'live'");
    assert_eq!(browser.evaluate(DRAWN), 8);
    let mut metrics = OpenOptions::new().append(true).open(alone.join("metrics.jsonl")).unwrap();
    writeln!(metrics, "{{\"step\":210,\"epoch\":2,\"loss\":-0.75,\"health\":\"healthy\"}}").unwrap();
    browser.wait_until("charts[0].u.scales.x.max === 210");
    let runs = browser.evaluate("document.querySelector('[data-part=runs]').textContent");
    assert!(runs.as_str().unwrap().contains("210"), "{runs}");
    accessibility::check(&mut browser);
    assert!(browser.console.is_empty(), "{:?}", browser.console);
}
