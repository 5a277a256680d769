//! The targets of the fuzzer in `fuzz/`, and a test that replays its seeds with mutations of them.

use crate::checkpoint;
use crate::config::{Overrides, TrainConfig};
use crate::tensor_file;

/// Reads a configuration file; one that can work is the same after it was saved and read.
pub fn config(bytes: &[u8]) {
    let parsed = std::str::from_utf8(bytes).ok().and_then(|text| Overrides::parse(text).ok());
    let Some((overrides, _)) = parsed else { return };
    let overrides = overrides.over(&Overrides::default());
    let Ok(config) = TrainConfig::resolve(&overrides) else { return };
    let saved = config.to_string();
    let read: TrainConfig = toml::from_str(&saved).expect("what was saved can be read");
    assert_eq!(read, config, "{saved}");
}

/// Reads bytes as each of a checkpoint's files.
pub fn checkpoint(bytes: &[u8]) {
    if let Ok(manifest) = checkpoint::parse_manifest(bytes) {
        let saved = serde_json::to_vec(&manifest).expect("what was read can be saved");
        assert!(checkpoint::parse_manifest(&saved).is_ok(), "{}", String::from_utf8_lossy(&saved));
    }
    for tensor in tensor_file::decode(bytes, |_| true).unwrap_or_default() {
        assert_eq!(tensor.shape.iter().product::<usize>(), tensor.data.len(), "{}", tensor.name);
    }
}

#[cfg(test)]
#[path = "../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::config;
    use super::replay::replay;
    use crate::checkpoint;

    #[test]
    fn the_configuration_reader_survives_its_seeds() {
        replay("fuzz/seeds/config", "fuzz/seeds/config.tar", 3_000, config);
    }

    #[test]
    fn the_checkpoint_reader_survives_its_seeds() {
        let state = include_bytes!("../fuzz/seeds/checkpoint/state.json");
        assert!(checkpoint::parse_manifest(state).is_ok(), "a seed of this program's format");
        replay("fuzz/seeds/checkpoint", "fuzz/seeds/checkpoint.tar", 3_000, super::checkpoint);
    }
}
