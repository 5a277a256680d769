//! The loader as boxes and queues, source to sink, as the last log line has it.

use std::fmt::Write;

use anyhow::Result;
use simsiam_pipeline::stats::Bottleneck;

use crate::html::Text;
use crate::metrics::{PipelineMetrics, QueueMetrics};
use crate::record::{Line, RunRecord};

/// The pipelines of the runs whose log lines tell of them.
pub(super) fn boxes(runs: &[&RunRecord]) -> Result<String> {
    let mut html = String::new();
    for run in runs {
        let last = run.metrics.steps.last();
        if let Some((line, pipeline)) = last.and_then(|line| Some((line, line.pipeline.as_ref()?))) {
            write!(html, "<h3><bdi>{}</bdi></h3>", Text(&run.name))?;
            write_chain(&mut html, line, pipeline)?;
        }
    }
    if html.is_empty() {
        html.push_str("<p>The log lines hold no measurements of the loader.</p>");
    }
    Ok(html)
}

fn write_chain(html: &mut String, line: &Line, pipeline: &PipelineMetrics) -> Result<()> {
    let PipelineMetrics { bottleneck, images_per_s, busy, queues } = pipeline;
    let limit = match bottleneck {
        Bottleneck::Consumer => "training".to_owned(),
        step => step.to_string(),
    };
    write!(html, "<p class=\"hint\">Before step {}. Bottleneck: {limit}.</p>", line.step)?;
    html.push_str("<ol class=\"pipeline\">");
    let stages = [
        ("plan", vec![Fact::plain("which images, in which order")]),
        ("read ahead", vec![Fact::plain("asks the system for the pages")]),
        (
            "workers",
            vec![
                Fact::plain(&format!("{images_per_s:.1} images/s")),
                Fact::step(Bottleneck::Read, busy.read),
                Fact::step(Bottleneck::Decode, busy.decode),
                Fact::step(Bottleneck::Augment, busy.augment),
            ],
        ),
        ("collate", vec![Fact::plain("puts batches in order")]),
        ("training", training(line)),
    ];
    let mut queues = queues.iter();
    for (at, (name, facts)) in stages.iter().enumerate() {
        if at > 0
            && let Some(queue) = queues.next()
        {
            write_queue(html, queue)?;
        }
        write_stage(html, name, facts, *bottleneck)?;
    }
    html.push_str("</ol>");
    Ok(())
}

/// What a box says, and which bottleneck it would be.
struct Fact {
    text: String,
    of: Option<Bottleneck>,
}

impl Fact {
    fn plain(text: &str) -> Self {
        Self { text: text.to_owned(), of: None }
    }

    fn step(step: Bottleneck, busy: f64) -> Self {
        Self { text: format!("{step} {:.1} %", 100.0 * busy), of: Some(step) }
    }
}

fn training(line: &Line) -> Vec<Fact> {
    let rate = line.images_per_s.map(|rate| Fact::plain(&format!("{rate:.1} images/s")));
    let wait =
        line.data_wait.map_or_else(|| "computes".into(), |wait| format!("waits {:.1} %", 100.0 * wait));
    rate.into_iter().chain([Fact { text: wait, of: Some(Bottleneck::Consumer) }]).collect()
}

fn write_stage(html: &mut String, name: &str, facts: &[Fact], bottleneck: Bottleneck) -> Result<()> {
    let is_lit = |fact: &Fact| fact.of == Some(bottleneck);
    let class = if facts.iter().any(is_lit) { "stage lit" } else { "stage" };
    write!(html, "<li class=\"{class}\"><strong>{name}</strong>")?;
    for fact in facts {
        let mark = if is_lit(fact) { " <em>bottleneck</em>" } else { "" };
        write!(html, "<span>{}{mark}</span>", Text(&fact.text))?;
    }
    html.push_str("</li>");
    Ok(())
}

fn write_queue(html: &mut String, queue: &QueueMetrics) -> Result<()> {
    let QueueMetrics { name, capacity, occupancy, items_per_s, put_wait, get_wait } = queue;
    write!(
        html,
        "<li class=\"queue\"><span>{}</span><meter min=\"0\" max=\"{capacity}\" value=\"{occupancy}\">{occupancy} of {capacity}</meter>\
         <span>{occupancy:.1} of {capacity}</span><span>{items_per_s:.1}/s</span>\
         <span>put wait {put_wait:.2}</span><span>get wait {get_wait:.2}</span></li>",
        Text(name)
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::WorkerTime;

    #[test]
    fn the_bottleneck_is_lit_and_each_queue_stands_between_two_stages() {
        let queue = |name: &str| QueueMetrics {
            name: name.into(),
            capacity: 4,
            occupancy: 1.0,
            items_per_s: 2.0,
            put_wait: 0.0,
            get_wait: 0.5,
        };
        let pipeline = PipelineMetrics {
            bottleneck: Bottleneck::Decode,
            images_per_s: 12.0,
            busy: WorkerTime { read: 0.01, decode: 0.9, augment: 0.05 },
            queues: ["planned <b>", "ready", "finished", "batches"].map(queue).into(),
        };
        let mut html = String::new();
        write_chain(&mut html, &Line { step: 7, ..Line::default() }, &pipeline).unwrap();
        assert_eq!(html.matches("class=\"stage").count(), 5);
        assert_eq!(html.matches("class=\"queue\"").count(), 4);
        assert_eq!(html.matches("class=\"stage lit\"").count(), 1);
        assert!(html.contains("decode 90.0 % <em>bottleneck</em>"), "{html}");
        assert!(html.contains("planned &lt;b&gt;"));
        assert!(html.find("batches").unwrap() < html.find("<strong>training").unwrap());
    }
}
