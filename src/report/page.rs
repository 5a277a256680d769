//! The page: data, tables, and the assets that draw them, in one file.

use anyhow::Result;
use serde_json::{Value, json};

use super::charts::{CHARTS, Chart};
use super::groups::{Group, groups};
use super::series::{Point, average, thin};
use super::tables;
use crate::console::counted;
use crate::html::{Text, fill, script_json};
use crate::record::RunRecord;

const TEMPLATE: &str = include_str!("assets/report.html");
const STYLE: &str = include_str!("assets/report.css");
const SCRIPT: &str = include_str!("assets/report.js");
const UPLOT: &str = include_str!("assets/uplot/uPlot.iife.min.js");
const UPLOT_STYLE: &str = include_str!("assets/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("assets/uplot/LICENSE");

/// Points that a page holds in all, at some 30 bytes each: under 5 MB with everything else.
const MOST_POINTS: usize = 100_000;
/// A line has at most this many buckets, of two points each: more than a wide screen has pixels.
const MOST_BUCKETS: usize = 1_000;
/// And at least so many.
const FEWEST_BUCKETS: usize = 20;

/// The page about these runs: HTML that needs nothing else.
///
/// # Errors
/// If a value cannot be written as JSON.
pub fn page(runs: &[RunRecord]) -> Result<String> {
    let groups = groups(runs);
    let buckets =
        (MOST_POINTS / (2 * groups.len().max(1) * CHARTS.len())).clamp(FEWEST_BUCKETS, MOST_BUCKETS);
    let data = json!({
        "groups": groups.iter().map(|group| &group.label).collect::<Vec<_>>(),
        "charts": CHARTS.iter().map(|chart| drawn(chart, &groups, buckets)).collect::<Vec<_>>(),
    });
    let title = match runs {
        [run] => run.name.clone(),
        _ => counted(runs.len() as u64, "run"),
    };
    let how_drawn = format!(
        "A line of more than {most} log lines is drawn by {most} of them: the least and the greatest of each of {buckets} \
         stretches of equally many. Spikes stay; what lies between them is left out.",
        most = 2 * buckets
    );
    Ok(fill(
        TEMPLATE,
        &[
            ("title", &Text(title).to_string()),
            ("style", STYLE),
            ("uplot_style", UPLOT_STYLE),
            ("how_drawn", &how_drawn),
            ("how_grouped", tables::how_grouped(&groups)),
            ("runs", &tables::runs(runs)?),
            ("verdicts", &tables::verdicts(runs)?),
            ("differences", &tables::differing(runs)?),
            ("details", &tables::details(runs)?),
            ("uplot_license", &Text(UPLOT_LICENSE).to_string()),
            ("data", &script_json(&data)?),
            ("uplot", UPLOT),
            ("script", SCRIPT),
        ],
    ))
}

/// A chart with a line for each group: columns of steps, means, and the band's two sides where there is one.
fn drawn(chart: &Chart, groups: &[Group<'_>], buckets: usize) -> Value {
    let line = |group: &Group<'_>| {
        let runs: Vec<_> = group.runs.iter().map(|run| chart.of(run)).collect();
        let points = thin(&average(&runs), buckets);
        let column = |value: fn(&Point) -> Option<f64>| -> Vec<Value> {
            points.iter().map(|point| value(point).map_or(Value::Null, short)).collect()
        };
        let mut line = json!({
            "x": points.iter().map(|point| point.step).collect::<Vec<_>>(),
            "y": column(|point| point.mean),
        });
        if points.iter().any(|point| point.band.is_some()) {
            line["low"] = column(|point| Some(point.band?.0)).into();
            line["high"] = column(|point| Some(point.band?.1)).into();
        }
        line
    };
    json!({
        "key": chart.key, "title": chart.title, "hint": chart.hint, "points": chart.at_epochs,
        "lines": groups.iter().map(line).collect::<Vec<_>>(),
    })
}

/// A number with five digits, which is more than a screen shows.
fn short(value: f64) -> Value {
    format!("{value:.4e}").parse::<f64>().map_or(Value::Null, Value::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_short() {
        assert_eq!(short(0.043_493_942_174_701_664).to_string(), "0.043494");
        assert_eq!(short(-0.057_064_565_748_518).to_string(), "-0.057065");
    }

    #[test]
    fn a_run_of_a_hundred_thousand_log_lines_makes_a_small_page() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "seed = 0\n").unwrap();
        let line = |step: u64| {
            let loss = -(step as f64).sqrt().sin();
            format!(
                "{{\"step\":{step},\"epoch\":1,\"loss\":{loss},\"z_std\":{loss},\"z_std_even\":1.0,\"z_rank\":{loss},\
                 \"health\":\"healthy\",\"lr\":{loss},\"predictor_lr\":0.1,\"images_per_s\":9.5,\"data_wait\":0.1}}\n"
            )
        };
        std::fs::write(dir.path().join("metrics.jsonl"), (0..100_000).map(line).collect::<String>()).unwrap();
        let run = RunRecord::read(dir.path()).unwrap();
        let page = page(&[run]).unwrap();
        assert!(page.len() < 1 << 20, "{} bytes", page.len());
        assert!(page.contains("99999"));
    }
}
