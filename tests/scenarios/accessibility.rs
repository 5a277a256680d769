//! What axe-core finds in a page (github.com/dequelabs/axe-core): colour contrast and the other rules of WCAG A and AA.

use std::fs;
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

use crate::browser::Browser;

/// Runs the rules: those that hold, and what breaks one, as rule, element and explanation.
const RUN: &str = r#"
axe.run(document, { runOnly: { type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"] } })
  .then(({ violations, passes }) => ({
    passes: passes.map((rule) => rule.id),
    violations: violations.flatMap((rule) => rule.nodes.map((node) => [rule.id, node.html, node.failureSummary])),
  }))"#;

/// Checks the page that is open, light and dark.
pub(crate) fn check(browser: &mut Browser) {
    for scheme in ["light", "dark"] {
        let Some(found) = run(browser, scheme) else { return };
        let violations = found["violations"].as_array().unwrap();
        assert!(violations.is_empty(), "{scheme}: {}", serde_json::to_string_pretty(violations).unwrap());
        let passes = found["passes"].as_array().unwrap();
        assert!(passes.contains(&"color-contrast".into()), "{scheme}: only {passes:?} applied");
    }
}

/// What axe-core says of the open page; `None`, with a line, without it.
fn run(browser: &mut Browser, scheme: &str) -> Option<Value> {
    let Some(axe) = axe() else {
        eprintln!("skipped: axe-core could be fetched neither by npm nor by pip");
        return None;
    };
    browser.prefer(scheme);
    browser.evaluate(axe);
    Some(browser.evaluate(RUN))
}

/// The source of axe-core, which these tests fetch and do not hold, being of half a megabyte.
fn axe() -> Option<&'static str> {
    static AXE: OnceLock<Option<String>> = OnceLock::new();
    let fetched = AXE.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        let succeeds = |command: &mut Command| command.output().is_ok_and(|output| output.status.success());
        let read = |path: &str| fs::read_to_string(dir.path().join(path)).ok();
        let mut npm = Command::new("npm");
        npm.args(["install", "axe-core@4.10.3", "--ignore-scripts", "--no-audit", "--no-fund"]);
        npm.args(["--prefer-offline", "--fetch-retries=0", "--fetch-timeout=20000", "--prefix"])
            .arg(dir.path());
        if succeeds(&mut npm) {
            return read("node_modules/axe-core/axe.min.js");
        }
        let mut pip = Command::new("python3");
        pip.args([
            "-m",
            "pip",
            "install",
            "axe-core-python==0.1.0",
            "--no-deps",
            "--retries=0",
            "--timeout=20",
        ]);
        succeeds(pip.arg("--target").arg(dir.path())).then(|| read("axe_core_python/axe.min.js")).flatten()
    });
    fetched.as_deref()
}

#[test]
fn text_that_is_too_faint_in_the_dark_is_found() {
    let Some(mut browser) = Browser::start(500) else { return };
    let style = "@media (prefers-color-scheme: dark) { body { background: black; color: rgb(60 60 60); } }";
    browser.open(&format!(
        "data:text/html,<html lang=en><title>t</title><style>{style}</style><p>text</p></html>"
    ));
    let (Some(light), Some(dark)) = (run(&mut browser, "light"), run(&mut browser, "dark")) else { return };
    assert_eq!(light["violations"], serde_json::json!([]));
    assert_eq!(dark["violations"][0][0], "color-contrast", "{dark}");
}
