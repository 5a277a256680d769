//! `simsiam report` and `simsiam runs`, on runs that are whole, going on and broken.

mod reader;
mod samples;

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::fixture::{Fixture, refused, simsiam, succeed};

/// A folder's name that would be markup, an attribute's end, and text from right to left.
pub(crate) const ODD_NAME: &str = "<script>alert(1)<!-- \"'& 🦀 שלום";

/// A run with these settings and metrics, as far as `report` and `runs` look.
pub(crate) fn write_run(dir: &Path, config: &str, metrics: &str) {
    fs::create_dir_all(dir).unwrap();
    fs::write(dir.join("config.toml"), config).unwrap();
    fs::write(dir.join("metrics.jsonl"), metrics).unwrap();
}

/// Log lines of steps 10 to 200, of which those after `collapse` are collapsed, and kNN of two epochs.
pub(crate) fn metrics(loss: f64, collapse: u64) -> String {
    let line = |step: u64| {
        let health = if step > collapse { "collapsed" } else { "healthy" };
        format!(
            "{{\"step\":{step},\"epoch\":1,\"loss\":{loss},\"z_std\":0.04,\"z_std_even\":0.05,\"z_rank\":7.5,\"health\":\"{health}\",\
             \"lr\":0.1,\"predictor_lr\":0.2,\"images_per_s\":123.0,\"data_wait\":0.25}}\n"
        )
    };
    let epoch = |step: u64, epoch: u64| {
        format!("{{\"step\":{step},\"epoch\":{epoch},\"knn_top1\":{}}}\n", 30.0 + 10.0 * epoch as f64)
    };
    let steps: String = (1..=20).map(|at| line(10 * at)).collect();
    epoch(0, 0) + &steps + &epoch(200, 1)
}

/// The data that the page's charts draw.
fn data(page: &str) -> Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").unwrap();
    serde_json::from_str(rest.split_once("</script>").unwrap().0).unwrap()
}

fn chart<'a>(data: &'a Value, key: &str) -> &'a Value {
    data["charts"].as_array().unwrap().iter().find(|chart| chart["key"] == key).unwrap()
}

/// Three runs: two that differ in seed, and one with an odd name and odd settings that collapses.
pub(crate) fn three_runs(dir: &Path) -> [std::path::PathBuf; 3] {
    let runs = ["one", "two", ODD_NAME].map(|name| dir.join(name));
    write_run(&runs[0], "epochs = 1\nseed = 0\n", &metrics(-0.5, 999));
    write_run(&runs[1], "epochs = 1\nseed = 1\n", &metrics(-0.7, 999));
    let odd = "epochs = 9\nseed = 0\nshards = [\"</script><b>\"]\n";
    write_run(&runs[2], odd, &metrics(-0.9, 100));
    runs
}

#[test]
fn a_report_of_a_real_run_needs_nothing_else_and_has_its_numbers() {
    let fixture = Fixture::new();
    let val = fixture.path("val");
    let more = ["--epochs", "1", "--knn-every", "1", "--val-shards", val.to_str().unwrap()];
    succeed(&mut fixture.train("run", &more));
    let out = fixture.path("report.html");
    let printed = succeed(simsiam().arg("report").arg(fixture.path("run")).arg("--out").arg(&out));
    assert!(printed.contains("report.html: 1 run, "), "{printed}");

    let page = fs::read_to_string(&out).unwrap();
    for loads in ["src=", "@import", "url(", "<link rel=\"stylesheet\"", "href=\"http", "fetch("] {
        assert!(!page.contains(loads), "the page has {loads}");
    }
    let data = data(&page);
    for key in ["loss", "std", "rank", "lr", "predictor-lr", "speed", "wait", "queue"] {
        assert_eq!(chart(&data, key)["lines"][0]["x"].as_array().unwrap().len(), 25, "{key}");
    }
    assert_eq!(chart(&data, "knn")["lines"][0]["x"], serde_json::json!([0, 25]));
    let losses = fixture.metrics("run").into_iter().filter_map(|line| line["loss"].as_f64());
    let drawn = chart(&data, "loss")["lines"][0]["y"].as_array().unwrap().clone();
    for (loss, drawn) in losses.zip(drawn) {
        assert!((loss - drawn.as_f64().unwrap()).abs() < 1e-4, "{loss} is drawn as {drawn}");
    }
    assert!(page.contains("finished") && page.contains("batch_size = 8"));
}

#[test]
fn names_and_settings_are_text_wherever_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let runs = three_runs(dir.path());
    let out = dir.path().join("report.html");
    succeed(simsiam().arg("report").args(&runs).arg("--out").arg(&out));
    let page = fs::read_to_string(&out).unwrap();
    assert!(!page.contains("<script>alert(1)") && !page.contains("</script><b>"));
    assert!(page.contains("&lt;script&gt;alert(1)&lt;!-- &quot;&#39;&amp; 🦀 שלום"));
    assert_eq!(data(&page)["groups"][1], ODD_NAME);
}

#[test]
fn seeds_become_a_mean_with_a_band_and_a_collapse_has_its_step() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("report.html");
    succeed(simsiam().arg("report").args(three_runs(dir.path())).arg("--out").arg(&out));
    let page = fs::read_to_string(&out).unwrap();
    let data = data(&page);
    assert_eq!(data["groups"][0], "one and 1 more (seeds 0, 1)");
    let lines = &chart(&data, "loss")["lines"];
    assert_eq!(
        (&lines[0]["y"][0], &lines[0]["low"][0], &lines[0]["high"][0]),
        (&(-0.6).into(), &(-0.7).into(), &(-0.5).into())
    );
    assert!(lines[1].get("low").is_none());
    assert!(page.contains("collapsed</span> from step 110"));
}

#[test]
fn what_a_run_lacks_is_said_and_no_run_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let [cut, bare] = ["cut", "bare"].map(|name| dir.path().join(name));
    write_run(&cut, "epochs = 9\n", "{\"step\":1,\"epoch\":1,\"loss\":-0.5,\"health\":\"healthy\"}\n{\"st");
    write_run(&bare, "epochs = 9\n", "");
    fs::remove_file(bare.join("metrics.jsonl")).unwrap();
    let out = dir.path().join("report.html");
    succeed(simsiam().arg("report").args([&cut, &bare]).arg("--out").arg(&out));
    let page = fs::read_to_string(&out).unwrap();
    for note in ["ends in the middle of a line", "no kNN accuracy", "no metrics.jsonl", "stopped at step 1"] {
        assert!(page.contains(note), "{note}");
    }
    fs::remove_file(&out).unwrap();
    let printed = refused(simsiam().arg("report").args([&cut, dir.path()]).arg("--out").arg(&out));
    let expected = format!("error: {} holds no run: no config.toml", dir.path().display());
    assert!(printed.contains(&expected), "{printed}");
    assert!(!out.exists());
}

#[test]
fn a_run_whose_lock_is_held_is_going() {
    let dir = tempfile::tempdir().unwrap();
    let run = dir.path().join("run");
    write_run(&run, "epochs = 9\n", &metrics(-0.5, 999));
    let lock = fs::File::create(run.join("lock")).unwrap();
    lock.lock().unwrap();
    let printed = succeed(simsiam().arg("runs").arg(dir.path()));
    assert!(printed.lines().nth(1).unwrap().starts_with("run  going "), "{printed}");
}

#[test]
fn runs_are_listed_and_compared() {
    let dir = tempfile::tempdir().unwrap();
    let [one, two, odd] = three_runs(dir.path());
    let printed = succeed(simsiam().arg("runs").arg(dir.path()));
    assert_eq!(printed.lines().count(), 4, "{printed}");
    assert!(printed.contains("finished") && printed.contains("40.00"), "{printed}");
    let printed = succeed(simsiam().arg("runs").arg(dir.path()).arg("--json"));
    let list: Value = serde_json::from_str(&printed).unwrap();
    let named = |name: &str| list.as_array().unwrap().iter().find(|run| run["name"] == name).unwrap();
    assert_eq!((&named(ODD_NAME)["verdict"], &named("one")["step"]), (&"collapsed".into(), &200.into()));

    let printed = succeed(simsiam().args(["runs", "compare"]).args([&one, &odd]));
    for line in ["epochs ", "last loss ", "verdict "] {
        assert!(printed.lines().any(|found| found.starts_with(line)), "{line} in\n{printed}");
    }
    assert!(!printed.contains("seed"), "{printed}");
    let printed = succeed(simsiam().args(["runs", "compare", "--json"]).args([&one, &two]));
    let comparison: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!(comparison["settings"], serde_json::json!({ "seed": ["0", "1"] }));

    for name in ["broken", "also-broken"] {
        write_run(&dir.path().join("odd").join(name), "no = [toml", "");
    }
    let odd = dir.path().join("odd");
    let printed = succeed(simsiam().arg("runs").arg(&odd));
    assert!(printed.contains("\nbroken: config.toml is no configuration: "), "{printed}");
    let printed =
        succeed(simsiam().args(["runs", "compare"]).args([odd.join("broken"), odd.join("also-broken")]));
    let notes =
        printed.lines().filter(|line| line.contains("broken: config.toml is no configuration")).count();
    assert!(notes == 2 && printed.contains("\nall settings are the same\n"), "{printed}");

    let printed = refused(simsiam().arg("runs").arg(dir.path().join("gone")));
    assert!(printed.contains("gone: no such folder"), "{printed}");
}
