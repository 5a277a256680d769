//! `report.md`, `report.json` and a picture for each table.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use serde::Serialize;
use serde_json::json;

use super::plot;
use super::{Group, Row, RunResult, Study};
use crate::config::{Overrides, TrainConfig};
use crate::files::write_whole;

/// Rewrites all files.
pub(super) fn write(
    out: &Path,
    study: Study,
    common: &Overrides,
    results: &[(Row, Vec<RunResult>)],
) -> Result<()> {
    write_whole(&out.join("report.json"), serde_json::to_string(&json(study, common, results)?)?.as_bytes())?;
    let mut text = format!(
        "# {study}\n\nSettings of every run; its row adds its own, and the preset gives the rest:\n\n```toml\n{}```\n\nLoss, std of z/|z| (in multiples of 1/sqrt(d)) and effective rank are means over the last \
         tenth of the run. kNN is top-1 on the backbone's features. With several seeds, cells are the mean (lowest to highest). The paper's \
         values are linear top-1 of ResNet-50 on ImageNet after 100 epochs.\n",
        toml::to_string(common)?
    );
    let baseline = results.iter().find(|(row, _)| row.is_baseline());
    for group in groups(results) {
        let of_group: Vec<_> = results.iter().filter(|(row, _)| row.group == group).collect();
        let compared = baseline.filter(|(row, _)| row.group != group).into_iter().chain(of_group);
        let compared: Vec<_> = compared.collect();
        let picture = format!("{}.svg", group.slug());
        plot::write(&out.join(&picture), group, &compared)?;
        write!(
            text,
            "\n## {}\n\n| | loss | std | rank | state | kNN untrained | kNN last | kNN best | paper |\n|---|---|---|---|---|---|---|---|---|\n",
            group.title()
        )?;
        compared.iter().try_for_each(|(row, runs)| writeln!(text, "{}", line(row, runs)))?;
        writeln!(text, "\n![{}]({picture})", group.title())?;
    }
    write_whole(&out.join("report.md"), text.as_bytes())
}

/// The tables of which there are results, in their order.
fn groups(results: &[(Row, Vec<RunResult>)]) -> Vec<Group> {
    let mut groups: Vec<Group> = results.iter().map(|(row, _)| row.group).collect();
    groups.dedup();
    groups
}

fn line(row: &Row, runs: &[RunResult]) -> String {
    let health = |run: &RunResult| run.health().map_or_else(|| "–".into(), |health| health.to_string());
    let health: Vec<String> = runs.iter().map(health).collect();
    let health =
        if health.iter().all(|one| *one == health[0]) { health[0].clone() } else { health.join("; ") };
    let knn = |which: usize| range(runs.iter().map(|run| run.knn_summary().map(|knn| knn[which])), 2);
    format!(
        "| {} | {} | {} | {} | {health} | {} | {} | {} | {} |",
        row.name,
        range(runs.iter().map(RunResult::loss), 3),
        range(runs.iter().map(RunResult::relative_std), 2),
        range(runs.iter().map(RunResult::rank), 1),
        knn(0),
        knn(1),
        knn(2),
        row.paper
    )
}

/// The value, or the mean of several with their range.
fn range(values: impl Iterator<Item = Option<f64>>, digits: usize) -> String {
    let values: Vec<f64> = values.flatten().collect();
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    match values.len() {
        0 => "–".into(),
        1 => format!("{mean:.digits$}"),
        _ => format!("{mean:.digits$} ({least:.digits$} to {most:.digits$})"),
    }
}

fn json(study: Study, common: &Overrides, results: &[(Row, Vec<RunResult>)]) -> Result<serde_json::Value> {
    let rows = results.iter().map(|(row, runs)| {
        let runs = runs.iter().map(|run| {
            json!({
                "seed": run.seed, "loss": run.loss(), "relative_std": run.relative_std(), "rank": run.rank(),
                "health": run.health(), "knn": run.knn,
            })
        });
        Ok(json!({
            "group": row.group.slug(), "name": row.name, "paper": row.paper, "flags": as_written(&row.flags)?,
            "runs": runs.collect::<Vec<_>>(),
        }))
    });
    let config = as_written(&TrainConfig::resolve(common)?)?;
    Ok(json!({ "study": study.to_string(), "config": config, "rows": rows.collect::<Result<Vec<_>>>()? }))
}

/// Settings as a configuration file has them: nothing that is unset, and numbers with the digits that they were given.
fn as_written<T: Serialize>(settings: &T) -> Result<toml::Table> {
    Ok(toml::from_str(&toml::to_string(settings)?)?)
}
