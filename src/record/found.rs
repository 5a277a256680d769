//! What else lies in a run's folder: results of `simsiam eval`, unusable samples, where the run was trained.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use simsiam_pipeline::BadSample;

use crate::evaluate::scores::Scores;
use crate::run_dir::{PROVENANCE, QUARANTINE};

/// A result of `simsiam eval`.
#[derive(Clone, Debug, Deserialize)]
pub struct Evaluation {
    /// `knn` or `probe`.
    pub method: String,
    /// The checkpoint's folder, or `untrained`.
    pub checkpoint: String,
    /// Steps that the network was trained for.
    pub step: u64,
    /// Whose output was judged.
    pub features: String,
    /// The result.
    pub scores: Scores,
}

impl Evaluation {
    /// The results in `RUN/eval`, of each method and layer the one of the latest step. A file that is none is left out.
    pub(super) fn latest(run: &Path) -> Vec<Self> {
        // A link could lead out of the folder that a server shows.
        let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
        let entries = fs::read_dir(run.join("eval")).into_iter().flatten().flatten().filter(is_file);
        let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
        paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
        paths.sort();
        let mut latest: Vec<Self> = Vec::new();
        for found in paths.iter().filter_map(|path| read::<Self>(path)) {
            let same = |one: &&mut Self| one.method == found.method && one.features == found.features;
            match latest.iter_mut().find(same) {
                Some(before) if before.step <= found.step => *before = found,
                Some(_) => {}
                None => latest.push(found),
            }
        }
        latest
    }
}

/// The samples in `RUN/quarantine.json`.
pub(super) fn quarantine(run: &Path) -> Vec<BadSample> {
    read(&run.join(QUARANTINE)).unwrap_or_default()
}

/// What the last process that trained the run has written of itself into `RUN/provenance.json`: (name, value).
pub(super) fn environment(run: &Path) -> Vec<(String, String)> {
    let mut found: Value = read(&run.join(PROVENANCE)).unwrap_or_default();
    if let Some(last) = found.as_array_mut().and_then(Vec::pop) {
        found = last;
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        value => value.to_string(),
    };
    let entry = |(name, value): (&String, &Value)| {
        let value = match value {
            Value::Null => return None,
            Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join(" "),
            value => text(value),
        };
        (!value.is_empty()).then(|| (name.clone(), value))
    };
    found.as_object().into_iter().flatten().filter_map(entry).collect()
}

/// A JSON file; `None` if it is not there, or says something else.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    serde_json::from_slice(&fs::read(path).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_result_of_each_method_is_taken_and_a_broken_file_left_out() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("eval")).unwrap();
        let write = |name: &str, method: &str, step: u64| {
            let text = format!(
                "{{\"method\":\"{method}\",\"checkpoint\":\"step-{step}\",\"step\":{step},\"features\":\"backbone\",\"k\":200,\"scores\":\
                 {{\"top1\":50.0,\"top5\":90.0,\"samples\":2,\"per_class\":[],\"confusion\":null}}}}"
            );
            fs::write(dir.path().join("eval").join(name), text).unwrap();
        };
        write("a.json", "knn", 20);
        write("b.json", "knn", 10);
        write("c.json", "probe", 10);
        fs::write(dir.path().join("eval/d.json"), "{").unwrap();
        let found = Evaluation::latest(dir.path());
        let found: Vec<_> = found.iter().map(|found| (found.method.as_str(), found.step)).collect();
        assert_eq!(found, [("knn", 20), ("probe", 10)]);
    }

    #[test]
    fn the_environment_is_that_of_the_last_process() {
        let dir = tempfile::tempdir().unwrap();
        let text =
            r#"[{"cores": 1}, {"cores": 2, "command": ["simsiam", "train"], "features": [], "data": null}]"#;
        fs::write(dir.path().join("provenance.json"), text).unwrap();
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(environment(dir.path()), [pair("command", "simsiam train"), pair("cores", "2")]);
        assert!(environment(&dir.path().join("gone")).is_empty());
    }
}
