//! When two configurations are of the same run.

use serde::Serialize;

use super::{TrainConfig, table};

impl TrainConfig {
    /// The settings that the processes of a run must have in common: where each finds the images and keeps copies of them is its own.
    pub fn in_common(&self) -> String {
        const OWN: [&str; 7] = [
            "shards",
            "val_shards",
            "absolute_shards",
            "absolute_val_shards",
            "cache_dir",
            "cache_size",
            "workers",
        ];
        let mut table = table(self);
        table.retain(|key, _| !OWN.contains(&key));
        table.to_string()
    }

    /// The first setting in which `other` would make another run: (key, here, there). Settings that change neither
    /// batches, weights nor accuracies don't count, nor does when it ends, which may change as a run goes on; that the shards hold the same data is checked by their fingerprint.
    /// Validation shards may move, but not come or go: without any, a tenth of the data is not trained on.
    pub fn first_difference(&self, other: &Self) -> Option<(String, String, String)> {
        const HARMLESS: [&str; 16] = [
            "epochs",
            "stop_when",
            "shards",
            "val_shards",
            "absolute_shards",
            "absolute_val_shards",
            "labels",
            "cache_dir",
            "cache_size",
            "workers",
            "log_every",
            "checkpoint_every",
            "keep_checkpoints",
            "on_bad_sample",
            "bad_sample_budget",
            "on_collapse",
        ];
        let holds_out_both = self.val_shards.is_empty() == other.val_shards.is_empty();
        let matters = |key: &str| !HARMLESS.contains(&key) || (key == "val_shards" && !holds_out_both);
        difference(self, other, matters)
    }
}

/// The first key that `matters` whose value is not the same in two sets of settings: (key, in the one, in the other).
pub fn difference<T: Serialize>(
    one: &T,
    other: &T,
    matters: impl Fn(&str) -> bool,
) -> Option<(String, String, String)> {
    let (one, other) = (table(one), table(other));
    let text =
        |table: &toml::Table, key: &str| table.get(key).map_or_else(|| "unset".into(), ToString::to_string);
    let keys = one.keys().chain(other.keys()).filter(|key| matters(key));
    keys.map(|key| (key.clone(), text(&one, key), text(&other, key))).find(|(_, a, b)| a != b)
}
