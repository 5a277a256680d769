//! The runs' latest numbers in Prometheus' text format, version 0.0.4.

use std::fmt::{self, Display, Write};
use std::time::UNIX_EPOCH;

use crate::health::Health;
use crate::metrics::{PipelineMetrics, QueueMetrics};
use crate::record::{Line, RunRecord, Standing};

/// The format's name in HTTP.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A gauge: its name without `simsiam_`, its help, and a run's values.
struct Gauge(&'static str, &'static str, fn(&RunRecord) -> Vec<Sample>);

/// A value, with a label besides the run's where there are several.
struct Sample {
    label: Option<(&'static str, String)>,
    value: f64,
}

const GAUGES: [Gauge; 18] = [
    Gauge("going", "1 while a process trains the run", |run| flag(Some(run.standing == Standing::Going))),
    Gauge("step", "steps done", |run| one(run.metrics.last_step().map(|step| step as f64))),
    Gauge("epoch", "the epoch under way, from 1", |run| of_line(run, |line| Some(line.epoch as f64))),
    Gauge("loss", "mean loss of the last log line", |run| of_line(run, |line| line.loss)),
    Gauge("z_std", "standard deviation of z/|z|", |run| of_line(run, |line| line.z_std)),
    Gauge("z_std_even", "z_std of evenly spread outputs, 1/sqrt(d)", |run| {
        of_line(run, |line| line.z_std_even)
    }),
    Gauge("z_rank", "effective rank of z/|z|", |run| of_line(run, |line| line.z_rank)),
    Gauge("healthy", "1 while the outputs tell images apart", |run| {
        flag(run.verdict().map(|health| health == Health::Healthy))
    }),
    Gauge("learning_rate", "of encoder and projector", |run| of_line(run, |line| line.lr)),
    Gauge("images_per_second", "images trained on", |run| of_line(run, |line| line.images_per_s)),
    Gauge("data_wait_ratio", "share of the time that training waits for data", |run| {
        of_line(run, |line| line.data_wait)
    }),
    Gauge("knn_top1_ratio", "latest kNN top-1 accuracy, 0 to 1", |run| {
        one(run.metrics.epochs.iter().rev().find_map(|line| line.knn_top1).map(|percent| percent / 100.0))
    }),
    Gauge("probe_top1_ratio", "accuracy of the online probe in the last log line, 0 to 1", |run| {
        of_line(run, |line| line.probe_top1.map(|percent| percent / 100.0))
    }),
    Gauge("last_write_timestamp_seconds", "when metrics.jsonl was last written", |run| {
        one(run
            .last_written
            .and_then(|time| time.duration_since(UNIX_EPOCH).ok())
            .map(|since| since.as_secs_f64()))
    }),
    Gauge("worker_busy_ratio", "share of the decoding threads' time, by stage", |run| {
        let busy = pipeline(run).map(|pipeline| pipeline.busy);
        let stages =
            busy.map(|busy| [("read", busy.read), ("decode", busy.decode), ("augment", busy.augment)]);
        let sample = |(stage, value): (&str, f64)| Sample { label: Some(("stage", stage.to_owned())), value };
        stages.into_iter().flatten().map(sample).collect()
    }),
    Gauge("queue_fill_ratio", "how full a queue is on average", |run| by_queue(run, QueueMetrics::fill)),
    Gauge("queue_put_wait_ratio", "seconds a second that producers wait for room", |run| {
        by_queue(run, |queue| queue.put_wait)
    }),
    Gauge("queue_get_wait_ratio", "seconds a second that consumers wait for an item", |run| {
        by_queue(run, |queue| queue.get_wait)
    }),
];

/// All gauges of these runs.
pub(super) fn text(runs: &[&RunRecord]) -> String {
    let mut text = String::new();
    for Gauge(name, help, samples) in GAUGES {
        writeln!(text, "# HELP simsiam_{name} {help}\n# TYPE simsiam_{name} gauge").expect(WRITABLE);
        for run in runs {
            for Sample { label, value } in samples(run) {
                write!(text, "simsiam_{name}{{run=\"{}\"", Label(&run.name)).expect(WRITABLE);
                if let Some((key, label)) = label {
                    write!(text, ",{key}=\"{}\"", Label(&label)).expect(WRITABLE);
                }
                writeln!(text, "}} {value}").expect(WRITABLE);
            }
        }
    }
    text
}

const WRITABLE: &str = "a string can be written to";

fn one(value: Option<f64>) -> Vec<Sample> {
    value.map(|value| Sample { label: None, value }).into_iter().collect()
}

fn flag(value: Option<bool>) -> Vec<Sample> {
    one(value.map(|value| f64::from(u8::from(value))))
}

fn of_line(run: &RunRecord, value: fn(&Line) -> Option<f64>) -> Vec<Sample> {
    one(run.metrics.steps.last().and_then(value))
}

fn pipeline(run: &RunRecord) -> Option<&PipelineMetrics> {
    run.metrics.steps.last()?.pipeline.as_ref()
}

fn by_queue(run: &RunRecord, value: fn(&QueueMetrics) -> f64) -> Vec<Sample> {
    let queues = pipeline(run).map(|pipeline| &pipeline.queues).into_iter().flatten();
    queues.map(|queue| Sample { label: Some(("queue", queue.name.clone())), value: value(queue) }).collect()
}

/// A label's value, in which the format escapes three characters.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|char| match char {
            '\\' => f.write_str("\\\\"),
            '"' => f.write_str("\\\""),
            '\n' => f.write_str("\\n"),
            char => f.write_char(char),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_has_a_line_a_gauge_and_odd_names_are_escaped() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("config.toml"), "epochs = 2\n").unwrap();
        std::fs::write(
            dir.path().join("metrics.jsonl"),
            "{\"step\":10,\"epoch\":1,\"loss\":-0.25,\"health\":\"collapsed\",\"pipeline\":{\"bottleneck\":\"decode\",\
             \"images_per_s\":9,\"busy\":{\"read\":0.1,\"decode\":0.8,\"augment\":0.05},\"queues\":[{\"name\":\"batches\",\
             \"capacity\":4,\"occupancy\":1,\"items_per_s\":2,\"put_wait\":0,\"get_wait\":0.5}]}}\n{\"step\":10,\"epoch\":1,\"knn_top1\":25}\n",
        )
        .unwrap();
        let mut run = RunRecord::read(dir.path()).unwrap();
        run.name = "a \"b\"\\\n🦀".into();
        let text = text(&[&run]);
        let odd = "run=\"a \\\"b\\\"\\\\\\n🦀\"";
        for line in [
            format!("simsiam_loss{{{odd}}} -0.25"),
            format!("simsiam_healthy{{{odd}}} 0"),
            format!("simsiam_going{{{odd}}} 0"),
            format!("simsiam_knn_top1_ratio{{{odd}}} 0.25"),
            format!("simsiam_worker_busy_ratio{{{odd},stage=\"decode\"}} 0.8"),
            format!("simsiam_queue_fill_ratio{{{odd},queue=\"batches\"}} 0.25"),
            "# TYPE simsiam_loss gauge".into(),
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in\n{text}");
        }
        assert!(!text.contains("simsiam_z_rank{"), "what is not known has no line");
    }
}
