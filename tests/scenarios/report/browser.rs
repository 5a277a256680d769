//! The page in headless Chromium, where there is one.

use std::process::Command;

use super::three_runs;
use crate::fixture::{simsiam, succeed};

/// What the page looks like once its script has run, or `None` without a browser.
fn rendered(page: &std::path::Path) -> Option<(String, String)> {
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let works = |name: &&&str| {
        Command::new(name).arg("--version").output().is_ok_and(|output| output.status.success())
    };
    let browser = names.iter().find(works)?;
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--virtual-time-budget=3000",
        ])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .args(["--window-size=1440,900", "--dump-dom"])
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Some((text(output.stdout), text(output.stderr)))
}

#[test]
fn the_page_draws_its_charts_without_a_word_on_the_console() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("report.html");
    succeed(simsiam().arg("report").args(three_runs(dir.path())).arg("--out").arg(&out));
    let Some((page, log)) = rendered(&out) else {
        eprintln!("skipped: no Chromium is installed");
        return;
    };
    assert_eq!(page.matches("<canvas").count(), 8, "{log}");
    // The two lines of the legend, and a button for each column of the table of runs.
    assert_eq!(page.matches("aria-pressed=\"true\"").count(), 2);
    assert!(page.contains("<button type=\"button\">Verdict</button>"));
    assert!(page.contains("-0.6 (-0.7 to -0.5)"), "the last values are beneath the chart");
    // The browser logs messages of its own; those of the page are `CONSOLE`, a refused request among them.
    assert!(!log.contains("CONSOLE"), "{log}");
}
