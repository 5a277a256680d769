//! `train --tensorboard`.

use std::fs;

use crate::fixture::{Fixture, succeed};

/// The records of an event file, by their lengths; the unit tests check the checksums.
fn records(file: &[u8]) -> Vec<&[u8]> {
    let (mut found, mut rest) = (Vec::new(), file);
    while !rest.is_empty() {
        let length = u64::from_le_bytes(rest[..8].try_into().unwrap()) as usize;
        found.push(&rest[12..12 + length]);
        rest = &rest[16 + length..];
    }
    found
}

fn has(record: &[u8], text: &[u8]) -> bool {
    record.windows(text.len()).any(|window| window == text)
}

#[test]
fn a_run_leaves_events_and_embeddings_and_its_weights_are_the_same() {
    let fixture = Fixture::new();
    let val = fixture.path("val");
    let more = ["--epochs", "1", "--knn-every", "1", "--val-shards", val.to_str().unwrap()];
    succeed(&mut fixture.train("plain", &more));
    succeed(fixture.train("told", &more).arg("--tensorboard"));
    assert_eq!(fixture.weights("plain", 25), fixture.weights("told", 25));
    assert_eq!(fixture.metrics("plain"), fixture.metrics("told"));
    assert!(!fixture.path("plain").join("tensorboard").exists());

    let dir = fixture.path("told").join("tensorboard");
    let names: Vec<String> = fs::read_dir(&dir)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("events.out.tfevents."))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let file = fs::read(dir.join(&names[0])).unwrap();
    let records = records(&file);
    for (tag, expected) in [
        ("brain.Event:2", 1),
        ("train/loss", 25),
        ("speed/batch_queue_fill", 25),
        ("gradients/norm", 25),
        ("epoch/knn_top1", 2),
        ("features/values", 2),
        ("views", 2),
    ] {
        let found = records.iter().filter(|record| has(record, tag.as_bytes())).count();
        assert_eq!(found, expected, "{tag}");
    }
    assert_eq!(records.iter().filter(|record| has(record, b"\x89PNG")).count(), 2);
    for (name, lines) in [("features.tsv", 50), ("metadata.tsv", 51)] {
        assert_eq!(fs::read_to_string(dir.join(name)).unwrap().lines().count(), lines, "{name}");
    }
    assert!(dir.join("sprite.png").is_file() && dir.join("projector_config.pbtxt").is_file());
}
