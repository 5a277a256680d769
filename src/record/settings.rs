//! Settings of a run, flat, to be compared with another's.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

/// The settings by name: `recipe.flip_p` is `flip_p` in the table `recipe`. Values are as TOML writes them, text without quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings(BTreeMap<String, String>);

/// A setting that is not the same in all of some runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub key: String,
    /// Its value in each run, in their order; `None` where it is not set.
    pub values: Vec<Option<String>>,
}

impl Settings {
    /// A setting's value.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// These without one.
    #[must_use]
    pub fn without(mut self, key: &str) -> Self {
        self.0.remove(key);
        self
    }

    fn add(&mut self, prefix: &str, table: &toml::Table) {
        for (key, value) in table {
            let key = format!("{prefix}{key}");
            match value {
                toml::Value::Table(table) => self.add(&format!("{key}."), table),
                toml::Value::String(text) => drop(self.0.insert(key, text.clone())),
                value => drop(self.0.insert(key, value.to_string())),
            }
        }
    }
}

impl FromStr for Settings {
    type Err = toml::de::Error;

    fn from_str(config: &str) -> Result<Self, Self::Err> {
        let mut settings = Self::default();
        settings.add("", &toml::from_str(config)?);
        // Where the shards that are named lie, which is no setting of its own.
        settings.0.retain(|key, _| !key.starts_with("absolute_"));
        Ok(settings)
    }
}

/// The settings that are not the same in all `runs`, by name.
pub fn differences(runs: &[&Settings]) -> Vec<Difference> {
    let keys: BTreeSet<&String> = runs.iter().flat_map(|settings| settings.0.keys()).collect();
    let of = |key: &String| Difference {
        key: key.clone(),
        values: runs.iter().map(|settings| settings.0.get(key).cloned()).collect(),
    };
    keys.into_iter()
        .map(of)
        .filter(|found| found.values.iter().any(|value| *value != found.values[0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named_also_in_tables_and_where_it_is_not_set() {
        let one: Settings = "seed = 1\narch = \"resnet8\"\n[recipe]\nflip_p = 0.5\n".parse().unwrap();
        let other: Settings =
            "seed = 1\narch = \"vgg\"\nqueue = 8\n[recipe]\nflip_p = 0.0\n".parse().unwrap();
        let text = |text: &str| Some(text.to_owned());
        let found: Vec<_> =
            differences(&[&one, &other]).into_iter().map(|found| (found.key, found.values)).collect();
        assert_eq!(
            found,
            [
                ("arch".to_owned(), vec![text("resnet8"), text("vgg")]),
                ("queue".to_owned(), vec![None, text("8")]),
                ("recipe.flip_p".to_owned(), vec![text("0.5"), text("0.0")]),
            ]
        );
        assert!(differences(&[&one]).is_empty() && differences(&[]).is_empty());
    }
}
