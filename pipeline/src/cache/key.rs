//! The key of an entry: its object and version.

use xxhash_rust::xxh3::xxh3_128;

/// Longest name of a file in an entry, in bytes.
const LONGEST_NAME: usize = 96;

/// One version of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    hash: u128,
    name: String,
}

impl Key {
    /// `identity` tells objects apart and `version` their contents; neither is kept. The file is called by the last part
    /// of `path`.
    pub(crate) fn new(identity: &str, version: &str, path: &str) -> Key {
        let hash = xxh3_128(format!("{}:{identity}{version}", identity.len()).as_bytes());
        Key { hash, name: file_name(path) }
    }

    /// The name of the file.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The name of the entry's folder.
    pub(super) fn folder(&self) -> String {
        format!("{:032x}", self.hash)
    }
}

/// The end of a path as a name that every file system takes.
fn file_name(path: &str) -> String {
    let last = path.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
    let safe = |character: char| match character {
        'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => character,
        _ => '_',
    };
    let name: String = last.chars().map(safe).collect();
    // Names that begin with a dot are hidden, and here the record's.
    let name = name[name.len().saturating_sub(LONGEST_NAME)..].trim_start_matches('.');
    if name.is_empty() { "object".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_safe_and_readable() {
        for (path, name) in [
            ("a/train-000.tar", "train-000.tar"),
            ("a b/ü x.tar", "__x.tar"),
            ("", "object"),
            ("..", "object"),
            ("x/.hidden.tar", "hidden.tar"),
        ] {
            assert_eq!(file_name(path), name, "{path}");
        }
        let long = format!("{}.tar", "x".repeat(500));
        assert_eq!(file_name(&long).len(), LONGEST_NAME);
        assert!(file_name(&long).ends_with("x.tar"));
    }

    #[test]
    fn objects_and_versions_are_told_apart() {
        let key = |identity, version| Key::new(identity, version, "a.tar").folder();
        assert_eq!(key("s3://b/a.tar", "1"), key("s3://b/a.tar", "1"));
        assert_ne!(key("s3://b/a.tar", "1"), key("s3://b/a.tar", "2"));
        assert_ne!(key("s3://b/a.tar1", ""), key("s3://b/a.tar", "1"));
    }
}
