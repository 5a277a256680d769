//! What `simsiam eval` found: accuracies, and which class was taken for which.

use std::fmt::Write;

use anyhow::Result;

use crate::evaluate::scores::Scores;
use crate::html::Text;
use crate::record::{Evaluation, RunRecord};

/// A matrix of more classes has no room on a page.
const MOST_CLASSES: usize = 30;

/// The latest results of each run.
pub(super) fn evaluations(runs: &[&RunRecord]) -> Result<String> {
    let mut html = String::new();
    for run in runs {
        for evaluation in &run.evaluations {
            write_evaluation(&mut html, &run.name, evaluation)?;
        }
    }
    if html.is_empty() {
        html.push_str("<p>None yet: <code>simsiam eval RUN</code> judges the features.</p>");
    }
    Ok(html)
}

fn write_evaluation(html: &mut String, run: &str, evaluation: &Evaluation) -> Result<()> {
    let Evaluation { method, checkpoint, features, scores, .. } = evaluation;
    write!(
        html,
        "<h3><bdi>{}</bdi>, {}, {}, {}</h3><p>Top-1 {:.2} %, top-5 {:.2} %, on {} images.</p>",
        Text(run),
        Text(checkpoint),
        Text(features),
        Text(method),
        scores.top1,
        scores.top5,
        scores.samples
    )?;
    match &scores.confusion {
        Some(confusion) if confusion.len() <= MOST_CLASSES => write_confusion(html, scores, confusion)?,
        Some(confusion) => {
            write!(
                html,
                "<p>The confusion matrix of {} classes is beside the result, as PNG.</p>",
                confusion.len()
            )?;
        }
        None => {}
    }
    Ok(())
}

/// A table whose cells are shaded by their share of the row.
fn write_confusion(html: &mut String, scores: &Scores, confusion: &[Vec<u32>]) -> Result<()> {
    let names: Vec<String> = scores.per_class.iter().map(ToString::to_string).collect();
    html.push_str("<div class=\"wide\" tabindex=\"0\" role=\"region\" aria-label=\"Confusion matrix\"><table class=\"confusion\"><caption>\
        Row: class; column: what it was taken for, in % of the row</caption><thead><tr><th></th>");
    for name in &names {
        write!(html, "<th scope=\"col\"><bdi>{}</bdi></th>", Text(name))?;
    }
    html.push_str("</tr></thead><tbody>");
    for (name, row) in names.iter().zip(confusion) {
        let total = row.iter().sum::<u32>().max(1);
        write!(html, "<tr><th scope=\"row\"><bdi>{}</bdi></th>", Text(name))?;
        for count in row {
            let share = f64::from(*count) / f64::from(total);
            write!(html, "<td style=\"--share:{:.0}%\">{:.0}</td>", 70.0 * share, 100.0 * share)?;
        }
        html.push_str("</tr>");
    }
    html.push_str("</tbody></table></div>");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::scores::Verdict;

    #[test]
    fn a_matrix_has_shares_of_rows_and_names_that_are_text() {
        let verdict = |label, predicted| Verdict { label, predicted, rank: 0 };
        let verdicts = [verdict(0, 0), verdict(0, 0), verdict(0, 0), verdict(0, 1), verdict(1, 1)];
        let names = ["<script>".to_owned(), "\"dog\"".to_owned()];
        let evaluation = Evaluation {
            method: "knn".into(),
            checkpoint: "step-9".into(),
            step: 9,
            features: "backbone".into(),
            scores: Scores::of(&verdicts, 2, Some(&names)),
        };
        let mut html = String::new();
        write_evaluation(&mut html, "a & b", &evaluation).unwrap();
        for part in [
            "a &amp; b",
            "&lt;script&gt;",
            "&quot;dog&quot;",
            ">75</td>",
            ">25</td>",
            ">100</td>",
            "--share:52%",
        ] {
            assert!(html.contains(part), "{part} in {html}");
        }
        assert!(!html.contains("<script>"));
    }
}
