//! Data that was made to hurt, and shards that change while they are read: skipped within the budget, or the run stops
//! with the reason.

use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::sync::Arc;

use simsiam_pipeline::shards::ShardWriter;
use simsiam_pipeline::{OnBadSample, PipelineConfig, PipelineError, Quarantine, ShardSet};

use crate::fixture::{Fixture, digests, jpeg, training};

/// A JPEG whose frame header says that it is this large.
fn resized(width: u16, height: u16) -> Vec<u8> {
    let mut bytes = jpeg(0);
    let frame = bytes.windows(2).position(|marker| marker == [0xff, 0xc0]).unwrap();
    bytes[frame + 5..frame + 7].copy_from_slice(&height.to_be_bytes());
    bytes[frame + 7..frame + 9].copy_from_slice(&width.to_be_bytes());
    bytes
}

/// A PNG of 4 GiB of zeros in a few bytes: its header alone says how large it is.
fn png_bomb() -> Vec<u8> {
    let mut header = b"IHDR".to_vec();
    for side in [65_000u32, 65_000] {
        header.extend(side.to_be_bytes());
    }
    header.extend([8, 2, 0, 0, 0]);
    let crc = crc32fast::hash(&header).to_be_bytes();
    [b"\x89PNG\r\n\x1a\n\0\0\0\x0d", &header[..], &crc, b"\0\0\0\0IEND\xae\x42\x60\x82"].concat()
}

#[test]
fn bombs_and_empty_images_are_skipped_and_named() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = ShardWriter::create(&dir.path().join("a.tar")).unwrap();
    let hostile: [(&str, Vec<u8>, &str); 6] = [
        ("jpg", resized(65_500, 65_500), "JPEG too large (65500 x 65500 pixels, limit 178956970 in all)"),
        ("jpg", resized(13_000, 13_000), "truncated JPEG"),
        ("png", png_bomb(), "PNG too large (65000 x 65000 pixels, limit 178956970 in all)"),
        ("jpg", resized(0, 0), "zero-size JPEG (0 x 0)"),
        ("jpg", resized(9, 0), "zero-size JPEG (9 x 0)"),
        ("jpg", Vec::new(), "empty file"),
    ];
    for index in 0..40 {
        writer.append(&format!("good{index}"), "jpg", &jpeg(index), None).unwrap();
    }
    for (index, (extension, bytes, _)) in hostile.iter().enumerate() {
        writer.append(&format!("bad{index}"), extension, bytes, None).unwrap();
    }
    writer.finish().unwrap();
    let pattern = dir.path().to_str().unwrap();
    let shards = Arc::new(ShardSet::open(&[pattern], &Default::default()).unwrap());
    let quarantine = Arc::new(Quarantine::new(OnBadSample::Skip { budget: 0.5 }, shards.len()));
    let config = PipelineConfig { workers: 2, ..training() };
    let batches = simsiam_pipeline::start(shards, quarantine.clone(), &config).unwrap();
    assert!(batches.map(Result::unwrap).all(|batch| batch.len() == 8 && batch.samples().all(|s| s < 40)));
    for bad in quarantine.list() {
        let (.., cause) = &hostile[bad.sample as usize - 40];
        assert_eq!(&bad.cause, cause, "{}", bad.place);
    }
    assert_eq!(
        quarantine.len(),
        6,
        "two epochs of 46 samples, of which at most 6 are left out, meet them all"
    );
}

#[cfg(unix)]
#[test]
fn a_shard_that_shrinks_in_mid_epoch_stops_the_run_with_its_name() {
    let fixture = Fixture::with_policy(60, &[], OnBadSample::Skip { budget: 0.1 });
    let mut batches = fixture.start(&PipelineConfig { epochs: 0..1000, workers: 2, ..training() });
    batches.next().unwrap().unwrap();
    let shard = fixture.shards.shards().next().unwrap().path().to_owned();
    OpenOptions::new().write(true).open(&shard).unwrap().set_len(1024).unwrap();
    let error = batches.find_map(Result::err).expect("a third of the data is gone");
    assert!(matches!(error, PipelineError::BudgetExceeded { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("train-000.tar") && text.contains("bytes while in use"), "{text}");
}

#[test]
fn a_shard_that_grows_is_replaced_or_vanishes_in_mid_epoch_changes_nothing() {
    let replace = |path: &Path| {
        let new = path.with_extension("new");
        fs::write(&new, "another file").unwrap();
        fs::rename(new, path).unwrap();
    };
    let grow = |path: &Path| {
        File::options()
            .append(true)
            .open(path)
            .and_then(|mut file| std::io::copy(&mut &[7; 4096][..], &mut file))
            .unwrap();
    };
    let vanish = |path: &Path| fs::remove_file(path).unwrap();
    let whole = digests(Fixture::new(60, &[]).start(&training()));
    for change in [&replace as &dyn Fn(&Path), &grow, &vanish] {
        let fixture = Fixture::new(60, &[]);
        let batches = fixture.start(&training());
        fixture.shards.shards().for_each(|shard| change(shard.path()));
        assert_eq!(digests(batches), whole);
        assert!(fixture.quarantine.is_empty());
    }
}

#[cfg(unix)]
#[test]
fn bytes_that_are_overwritten_in_mid_epoch_are_bad_samples() {
    use std::os::unix::fs::FileExt;
    let fixture = Fixture::with_policy(60, &[], OnBadSample::Skip { budget: 1.0 });
    let batches = fixture.start(&PipelineConfig { epochs: 0..3, ..training() });
    let (victim, place) = (30, fixture.shards.locate(30));
    File::options().write(true).open(&place.shard).unwrap().write_all_at(b"?", place.offset + 50).unwrap();
    batches.for_each(|batch| assert_eq!(batch.unwrap().len(), 8));
    let bad = fixture.quarantine.list();
    assert_eq!(bad.iter().map(|bad| bad.sample).collect::<Vec<_>>(), [victim]);
    assert!(bad[0].cause.starts_with("the bytes changed (crc32 "), "{}", bad[0].cause);
}

#[test]
fn batches_that_do_not_fit_into_memory_are_refused_before_they_are_allocated() {
    let fixture = Fixture::new(40, &[]);
    for prefetch in [1 << 40, usize::MAX] {
        let config = PipelineConfig { prefetch, ..training() };
        let quarantine = fixture.quarantine.clone();
        let error = simsiam_pipeline::start(fixture.shards.clone(), quarantine, &config).err().unwrap();
        let mib = config.pool_bytes() >> 20;
        assert!(
            error.to_string().starts_with(&format!("the pipeline's batches need {mib} MiB, of ")),
            "{error}"
        );
    }
    let config = training();
    assert_eq!(
        config.pool_bytes(),
        7 * 8 * 2 * 3 * 32 * 32 * 4,
        "seven batches of eight images, two views each"
    );
}

#[test]
fn more_workers_than_any_machine_has_use_for_are_refused() {
    let fixture = Fixture::new(8, &[]);
    let start = |workers| {
        let config = PipelineConfig { workers, ..training() };
        simsiam_pipeline::start(fixture.shards.clone(), fixture.quarantine.clone(), &config)
    };
    for workers in [1025, 1_000_000_000, 1 << 62, usize::MAX] {
        let error = start(workers).err().unwrap().to_string();
        assert_eq!(error, format!("{workers} workers are too many; at most 1024 may be started"));
    }
}
