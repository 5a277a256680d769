//! The parts of the page that are text: they can be read without the script, too.

use std::fmt::{Display, Write};

use anyhow::Result;
use form_urlencoded::byte_serialize;

use super::content::Links;
use super::groups::Group;
use crate::health::Health;
use crate::html::Text;
use crate::record::{Difference, RunRecord, Settings, differences};
use crate::runs::text::{bytes, minute};

/// Columns of settings in the table of runs; the rest is in the table of differences, as are settings with longer values than
/// [`WIDEST`] characters, such as paths.
const MOST_SETTINGS: usize = 6;
const WIDEST: usize = 20;

/// What a band is, if there is one.
pub(super) fn how_grouped(groups: &[Group<'_>]) -> &'static str {
    if groups.iter().all(|group| group.runs.len() == 1) {
        "Runs that differ only in their seed would be drawn as one line, their mean, with a band."
    } else {
        "Runs that differ only in their seed are drawn as one line, their mean, at the steps that all of them have. The band \
         goes from the least to the greatest of them; it is no confidence interval."
    }
}

fn differing_settings(runs: &[&RunRecord]) -> Vec<Difference> {
    let settings: Vec<&Settings> = runs.iter().map(|run| &run.settings).collect();
    differences(&settings)
}

/// The table of runs.
pub(super) fn runs(runs: &[&RunRecord], links: Links<'_>) -> Result<String> {
    let is_narrow =
        |setting: &Difference| setting.values.iter().flatten().all(|value| value.chars().count() <= WIDEST);
    let settings: Vec<Difference> =
        differing_settings(runs).into_iter().filter(is_narrow).take(MOST_SETTINGS).collect();
    let mut table = String::from("<table class=\"sortable\"><thead><tr>");
    let measured =
        ["Run", "State", "kNN best, %", "kNN untrained, %", "Last loss", "Steps", "Images/s", "Verdict"];
    for heading in measured.into_iter().chain(settings.iter().map(|setting| setting.key.as_str())) {
        write!(table, "<th scope=\"col\">{}</th>", Text(heading))?;
    }
    table.push_str("</tr></thead><tbody>");
    for (at, run) in runs.iter().enumerate() {
        let link = match links {
            Links::Anchors => format!("#run-{at}"),
            Links::Pages { token } => {
                let token = token.map_or_else(String::new, |token| format!("&amp;token={token}"));
                format!("?run={}{token}", byte_serialize(run.name.as_bytes()).collect::<String>())
            }
        };
        write!(table, "<tr><th scope=\"row\"><a href=\"{link}\"><bdi>{}</bdi></a></th>", Text(&run.name))?;
        write!(table, "<td>{}</td>", Text(run.standing))?;
        cell(&mut table, run.best_knn().map(|(knn, _)| format!("{knn:.2}")))?;
        cell(&mut table, run.untrained_knn().map(|knn| format!("{knn:.2}")))?;
        cell(&mut table, run.last_loss().map(|loss| format!("{loss:.4}")))?;
        cell(&mut table, run.metrics.last_step())?;
        cell(&mut table, run.images_per_s().map(|rate| format!("{rate:.1}")))?;
        match run.verdict() {
            Some(health) => write!(table, "<td>{}</td>", verdict(health))?,
            None => table.push_str("<td>–</td>"),
        }
        for setting in &settings {
            cell(&mut table, setting.values[at].as_deref())?;
        }
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table>");
    Ok(table)
}

fn cell(table: &mut String, value: Option<impl Display>) -> Result<()> {
    match value {
        Some(value) => write!(table, "<td><bdi>{}</bdi></td>", Text(value))?,
        None => table.push_str("<td>–</td>"),
    }
    Ok(())
}

/// A verdict, told by a word and a mark, not by colour alone.
fn verdict(health: Health) -> String {
    let (class, mark) = match health {
        Health::Healthy => ("good", "✓"),
        Health::DimensionalCollapse => ("doubtful", "!"),
        Health::Collapsed | Health::Diverged => ("bad", "✗"),
    };
    format!("<span class=\"verdict {class}\">{mark} {health}</span>")
}

/// When the verdict of each run changed.
pub(super) fn verdicts(runs: &[&RunRecord]) -> Result<String> {
    let mut list = String::from("<ul class=\"verdicts\">");
    for run in runs {
        write!(list, "<li><bdi>{}</bdi>: ", Text(&run.name))?;
        let changes = run.metrics.verdicts();
        if changes.is_empty() {
            list.push_str("no verdict, for want of a log step");
        }
        for (at, change) in changes.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(list, "{comma}{} from step {}", verdict(change.health), change.step)?;
        }
        list.push_str("</li>");
    }
    list.push_str("</ul>");
    Ok(list)
}

/// The settings that are not the same in all runs.
pub(super) fn differing(runs: &[&RunRecord]) -> Result<String> {
    let settings = differing_settings(runs);
    if settings.is_empty() {
        let text = if runs.len() == 1 { "There is one run." } else { "All runs have the same settings." };
        return Ok(format!("<p>{text}</p>"));
    }
    let mut table = String::from("<table><thead><tr><th scope=\"col\">Setting</th>");
    for run in runs {
        write!(table, "<th scope=\"col\"><bdi>{}</bdi></th>", Text(&run.name))?;
    }
    table.push_str("</tr></thead><tbody>");
    for setting in &settings {
        write!(table, "<tr><th scope=\"row\"><code>{}</code></th>", Text(&setting.key))?;
        setting.values.iter().try_for_each(|value| cell(&mut table, value.as_deref()))?;
        table.push_str("</tr>");
    }
    table.push_str("</tbody></table>");
    Ok(table)
}

/// Everything about each run: notes, where and on what it ran, its configuration.
pub(super) fn details(runs: &[&RunRecord]) -> Result<String> {
    let mut text = String::new();
    for (at, run) in runs.iter().enumerate() {
        write!(text, "<section class=\"run\" id=\"run-{at}\"><h3><bdi>{}</bdi></h3>", Text(&run.name))?;
        for note in &run.notes {
            write!(text, "<p class=\"note\">Note: {}</p>", Text(note))?;
        }
        let steps: Vec<String> = run.checkpoints.iter().map(u64::to_string).collect();
        let setting = |key| run.settings.get(key).map(str::to_owned);
        let best = run.best_knn().map(|(knn, step)| format!("{knn:.2} % at step {step}"));
        let facts = [
            ("Folder", Some(run.path.display().to_string())),
            ("State", Some(run.standing.to_string())),
            ("Begun", run.begun.and_then(minute)),
            ("Metrics last written", run.last_written.and_then(minute)),
            ("Best kNN top-1", best),
            ("Checkpoints at steps", (!steps.is_empty()).then(|| steps.join(", "))),
            ("Size on disk", Some(bytes(run.bytes))),
            ("Device", setting("device")),
            ("Precision", setting("precision").or_else(|| Some("the device's default".into()))),
            ("Workers", setting("workers")),
        ];
        let facts = facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
        text.push_str("<dl>");
        for (name, value) in facts.chain(run.environment.iter().cloned()) {
            write!(text, "<dt>{}</dt><dd><bdi>{}</bdi></dd>", Text(name), Text(value))?;
        }
        write!(
            text,
            "</dl><details><summary>config.toml</summary><pre tabindex=\"0\">{}</pre></details></section>",
            Text(&run.config)
        )?;
    }
    Ok(text)
}
