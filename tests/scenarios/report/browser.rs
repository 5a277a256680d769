//! The pages in headless Chromium, where there is one.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::three_runs;
use crate::fixture::{simsiam, succeed};
use crate::serve::Serving;

/// Does what a reader does, by pointer and by keyboard, and notes what can be seen then.
const READER: &str = r#"<script>
addEventListener("load", () => setTimeout(async () => {
  const seen = {}, later = () => new Promise((done) => setTimeout(done, 100));
  const [plot] = document.querySelectorAll(".plot"), step = document.querySelector(".step");
  const ticks = () => charts[0].u.scales.x;
  seen.before = step.textContent;
  plot.focus();
  seen.focused = document.activeElement === plot;
  plot.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }));
  await later();
  seen.byKey = step.textContent;
  const over = plot.querySelector(".u-over"), box = over.getBoundingClientRect();
  over.dispatchEvent(new MouseEvent("mouseenter", { clientX: box.left, clientY: box.top }));
  over.dispatchEvent(new MouseEvent("mousemove", { clientX: box.right - 1, clientY: box.top + 9, bubbles: true }));
  await later();
  seen.byPointer = step.textContent;
  document.querySelector("[data-zoom=in]").click();
  await later();
  seen.zoomed = [ticks().min, ticks().max];
  document.querySelector("[data-zoom=all]").click();
  await later();
  seen.all = [ticks().min, ticks().max];
  seen.unreachable = [...document.querySelectorAll("a[href], button, summary, [tabindex]")].filter((one) => one.tabIndex < 0).length;
  const wide = document.documentElement.scrollWidth > innerWidth;
  document.title = JSON.stringify({ ...seen, wide });
}, 300));
</script>"#;

/// What a page looks like once its script has run, and the browser's log; `None` without a browser.
pub(super) fn rendered(url: &str, size: &str) -> Option<(String, String)> {
    browse(url, &[&format!("--window-size={size}"), "--virtual-time-budget=3000"])
}

fn browse(url: &str, flags: &[&str]) -> Option<(String, String)> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let works = |name: &&&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let browser = names.iter().find(works)?;
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(flags)
        .args(["--dump-dom", url])
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(output.stdout), text(output.stderr)))
}

fn report(dir: &Path) -> std::path::PathBuf {
    let out = dir.join("report.html");
    succeed(simsiam().arg("report").args(three_runs(dir)).arg("--out").arg(&out));
    out
}

#[test]
fn the_page_draws_its_charts_without_a_word_on_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let out = report(dir.path());
    let Some((page, log)) = rendered(&format!("file://{}", out.display()), "1440,900") else {
        eprintln!("skipped: no Chromium is installed");
        return;
    };
    assert_eq!(page.matches("<div class=\"u-wrap\"").count(), 8, "{log}");
    assert!(page.contains("No run has this yet."), "these runs have no queue");
    // The two lines of the legend, and a button for each column of the table of runs.
    assert_eq!(page.matches("aria-pressed=\"true\"").count(), 2);
    assert!(page.contains("<button type=\"button\">Verdict</button>"));
    assert!(page.contains("-0.6 (-0.7 to -0.5)"), "the last values are beneath the chart");
    // The browser logs messages of its own; those of the page are `CONSOLE`, a refused request among them.
    assert!(!log.contains("CONSOLE"), "{log}");
}

#[test]
fn hover_zoom_and_keyboard_work_on_a_wide_and_a_narrow_screen() {
    let dir = tempfile::tempdir().unwrap();
    let out = report(dir.path());
    let page = std::fs::read_to_string(&out).unwrap();
    std::fs::write(&out, page.replace("</body>", &format!("{READER}</body>"))).unwrap();
    for size in ["1440,900", "500,900"] {
        let Some((page, log)) = rendered(&format!("file://{}", out.display()), size) else {
            eprintln!("skipped: no Chromium is installed");
            return;
        };
        let (_, title) = page.split_once("<title>").unwrap();
        let seen: Value = serde_json::from_str(title.split_once("</title>").unwrap().0).unwrap();
        let expected = serde_json::json!({
            "before": "last values", "focused": true, "byKey": "step 0", "byPointer": "step 200",
            "zoomed": [50, 150], "all": [0, 200], "unreachable": 0, "wide": false,
        });
        assert_eq!(seen, expected, "{size}: {log}");
        assert!(!log.contains("CONSOLE"), "{log}");
    }
}

#[test]
fn the_live_page_connects_to_its_server_and_to_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    three_runs(dir.path());
    let serving = Serving::of(dir.path());
    let Some((page, log)) = browse(&serving.url(), &["--window-size=1440,900"]) else {
        eprintln!("skipped: no Chromium is installed");
        return;
    };
    // The browser gives the page as it is once it has loaded, which is before the first event.
    assert!(page.contains("role=\"status\">"), "{log}");
    assert_eq!(page.matches("<div class=\"u-wrap\"").count(), 8, "{log}");
    assert!(!log.contains("CONSOLE"), "{log}");
}
