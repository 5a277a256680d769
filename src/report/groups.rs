//! Runs that differ only in their seeds belong together.

use crate::record::{RunRecord, Settings};

/// Runs that differ only in their seeds; most often one run.
pub(super) struct Group<'a> {
    /// What the legend calls it.
    pub(super) label: String,
    /// Its runs, in the order in which they were given.
    pub(super) runs: Vec<&'a RunRecord>,
}

/// The runs in groups, in the order of their first runs. Two runs with the same seed are no sample of two: the second begins
/// a group of its own, as does a run whose settings are not known.
pub(super) fn groups<'a>(runs: &[&'a RunRecord]) -> Vec<Group<'a>> {
    let seed = |run: &RunRecord| run.settings.get("seed").map(str::to_owned);
    let mut groups: Vec<(Settings, Vec<&RunRecord>)> = Vec::new();
    for &run in runs {
        let shared = run.settings.clone().without("seed");
        let takes = |(settings, members): &&mut (Settings, Vec<&RunRecord>)| {
            !shared.is_empty() && *settings == shared && members.iter().all(|one| seed(one) != seed(run))
        };
        match groups.iter_mut().find(takes) {
            Some((_, members)) => members.push(run),
            None => groups.push((shared, vec![run])),
        }
    }
    groups.into_iter().map(|(_, runs)| Group { label: label(&runs), runs }).collect()
}

fn label(runs: &[&RunRecord]) -> String {
    let first = &runs[0].name;
    if runs.len() == 1 {
        return first.clone();
    }
    let seeds: Vec<&str> = runs.iter().filter_map(|run| run.settings.get("seed")).collect();
    format!("{first} and {} more (seeds {})", runs.len() - 1, seeds.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_differ_only_in_seed_are_grouped_and_a_repeated_seed_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let run = |name: &str, config: &str| {
            let path = dir.path().join(name);
            std::fs::create_dir(&path).unwrap();
            std::fs::write(path.join("config.toml"), config).unwrap();
            RunRecord::read(&path).unwrap()
        };
        let runs = [
            run("a", "seed = 0\nepochs = 2"),
            run("b", "seed = 0\nepochs = 3"),
            run("c", "seed = 1\nepochs = 2"),
            run("d", "seed = 1\nepochs = 2"),
            run("e", "no toml"),
            run("f", "no toml"),
        ];
        let labels: Vec<String> =
            groups(&runs.iter().collect::<Vec<_>>()).into_iter().map(|group| group.label).collect();
        assert_eq!(labels, ["a and 1 more (seeds 0, 1)", "b", "d", "e", "f"]);
    }
}
