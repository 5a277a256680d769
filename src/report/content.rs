//! What a page shows, in one place: a report embeds it, and a live page is sent it again.

use anyhow::Result;
use serde_json::{Value, json};

use super::charts::{CHARTS, Chart};
use super::groups::{Group, groups};
use super::series::{Point, average, thin};
use super::{evaluations, pipeline, quarantine, samples, tables};
use crate::console::counted;
use crate::gallery::Gallery;
use crate::record::RunRecord;

/// Points that a page holds in all, at some 30 bytes each: under 5 MB with everything else.
const MOST_POINTS: usize = 100_000;
/// A line has at most this many buckets, of two points each: more than a wide screen has pixels.
const MOST_BUCKETS: usize = 1_000;
/// And at least so many.
const FEWEST_BUCKETS: usize = 20;

/// Where the table of runs leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links<'a> {
    /// To the run's details, farther down.
    Anchors,
    /// To the live page of the run alone, `?run=NAME`.
    Pages {
        /// What the server asks for with each request.
        token: Option<&'a str>,
    },
}

/// What a page shows of some runs.
pub struct Content {
    /// The runs' names, or their number.
    pub(super) title: String,
    /// The charts and the lines in them.
    pub(super) data: Value,
    /// HTML by the name of its place in the page.
    pub(super) parts: Vec<(&'static str, String)>,
}

impl Content {
    /// What there is to show of these.
    ///
    /// # Errors
    /// If a value cannot be written as JSON.
    pub fn of(runs: &[&RunRecord], links: Links<'_>) -> Result<Self> {
        let groups = groups(runs);
        let buckets =
            (MOST_POINTS / (2 * groups.len().max(1) * CHARTS.len())).clamp(FEWEST_BUCKETS, MOST_BUCKETS);
        let charts = CHARTS.iter().filter(|chart| chart.is_drawn(runs));
        let data = json!({
            "groups": groups.iter().map(|group| &group.label).collect::<Vec<_>>(),
            "charts": charts.map(|chart| drawn(chart, &groups, buckets)).collect::<Vec<_>>(),
        });
        let title = match runs {
            [run] => run.name.clone(),
            _ => counted(runs.len() as u64, "run"),
        };
        let parts = vec![
            ("runs", tables::runs(runs, links)?),
            ("pipeline", pipeline::boxes(runs)?),
            ("how_drawn", how_drawn(&groups, buckets)),
            ("verdicts", tables::verdicts(runs)?),
            ("evaluations", evaluations::evaluations(runs)?),
            ("quarantine", quarantine::quarantine(runs, |_, _| None)?),
            ("samples_link", String::new()),
            ("samples", String::new()),
            ("differences", tables::differing(runs)?),
            ("details", tables::details(runs)?),
        ];
        Ok(Self { title, data, parts })
    }

    /// The same with images of the runs that have some; `galleries` are those of the runs in their order.
    ///
    /// # Errors
    /// If an image cannot be encoded.
    pub fn with_samples(mut self, runs: &[&RunRecord], galleries: &[Gallery]) -> Result<Self> {
        let named: Vec<(&str, &Gallery)> = runs.iter().map(|run| run.name.as_str()).zip(galleries).collect();
        let picture = |run: &RunRecord, sample| {
            let (_, gallery) = named.iter().find(|(name, _)| *name == run.name)?;
            samples::unusable(gallery.unusable.get(&sample)?)
        };
        self.data["maps"] = samples::maps(&named)?;
        self.set("samples", samples::section(&named)?);
        self.set("samples_link", "<a href=\"#samples\">Samples</a>".into());
        self.set("quarantine", quarantine::quarantine(runs, picture)?);
        Ok(self)
    }

    fn set(&mut self, part: &str, html: String) {
        let place = self.parts.iter_mut().find(|(name, _)| *name == part);
        place.expect("each part has a place").1 = html;
    }

    /// As JSON in one line: `{"data": ..., "parts": {NAME: HTML, ...}}`.
    pub fn to_json(&self) -> String {
        let parts: serde_json::Map<String, Value> =
            self.parts.iter().map(|(name, html)| ((*name).to_owned(), html.as_str().into())).collect();
        json!({ "data": self.data, "parts": parts }).to_string()
    }
}

fn how_drawn(groups: &[Group<'_>], buckets: usize) -> String {
    format!(
        "A line of more than {most} log lines is drawn by {most} of them: the least and the greatest of each of {buckets} \
         stretches of equally many. Spikes stay; what lies between them is left out. {grouped}",
        most = 2 * buckets,
        grouped = tables::how_grouped(groups)
    )
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
}
