//! What inspection counts, and which samples it finds bad.

use std::fs;

use simsiam_pipeline::inspect::{InspectOptions, Report, Spread, inspect};
use simsiam_pipeline::shards::ShardWriter;

use crate::fixture::{Fixture, jpeg};

/// 150 JPEG files, sample `i` being `32 + i` pixels wide.
fn shard_of_images(fixture: &Fixture) {
    let mut writer = ShardWriter::create(&fixture.path("a.tar")).unwrap();
    for i in 0..150 {
        writer.append(&format!("{i:03}"), "jpg", &jpeg(i, 32 + i, 48), (i != 7).then_some(i % 3)).unwrap();
    }
    writer.finish().unwrap();
}

fn report(fixture: &Fixture, verify: bool) -> Report {
    let mut done = Vec::new();
    let options = InspectOptions { verify, threads: 2, ..Default::default() };
    let report = inspect(&fixture.open().unwrap(), &options, &mut |progress| done.push(progress.done));
    assert!(done.is_sorted() && done.last() == Some(&150), "{done:?}");
    report
}

#[test]
fn sound_shards_are_counted_and_nothing_is_bad() {
    let fixture = Fixture::new();
    shard_of_images(&fixture);
    let quick = report(&fixture, false);
    assert_eq!((quick.shards, quick.samples, quick.unlabelled), (1, 150, 1));
    assert_eq!(
        quick.formats.iter().map(|(name, count)| (name.as_str(), *count)).collect::<Vec<_>>(),
        [("JPEG", 150)]
    );
    assert_eq!(quick.width, Some(Spread { min: 32, median: 106, max: 181 }));
    assert_eq!(quick.height, Some(Spread { min: 48, median: 48, max: 48 }));
    assert_eq!(quick.shorter_side.into_iter().collect::<Vec<_>>(), [(32, 1), (64, 149)]);
    assert_eq!(quick.labels.into_iter().collect::<Vec<_>>(), [(0, 50), (1, 49), (2, 50)]);
    assert!(quick.bad.is_empty() && !quick.verified);
    let thorough = report(&fixture, true);
    assert!(thorough.bad.is_empty() && thorough.verified, "{thorough}");
    assert!(thorough.to_string().ends_with("bad       0 (every image was decoded)"));
}

#[test]
fn damaged_images_are_listed_with_place_and_cause() {
    let fixture = Fixture::new();
    shard_of_images(&fixture);
    let set = fixture.open().unwrap();
    let mut bytes = fs::read(fixture.path("a.tar")).unwrap();
    let damaged = [3_u64, 64, 149];
    for sample in damaged {
        // The start of the file, so that no decoder can make anything of it.
        bytes[set.locate(sample).offset as usize] ^= 0xff;
    }
    // Another modification time, so that the damaged bytes are indexed as they are.
    fs::write(fixture.path("a.tar"), bytes).unwrap();
    for verify in [false, true] {
        let report = report(&fixture, verify);
        assert_eq!(report.bad.iter().map(|bad| bad.sample).collect::<Vec<_>>(), damaged);
        assert_eq!((report.bad[1].at.sample, &*report.bad[1].at.key), (64, "064"));
        assert!(report.bad[1].cause.starts_with("not an image"), "{}", report.bad[1].cause);
        assert_eq!(report.formats["JPEG"], 147);
    }
}

#[test]
fn bytes_that_changed_since_they_were_indexed_are_bad_even_if_they_decode() {
    let fixture = Fixture::new();
    shard_of_images(&fixture);
    let path = fixture.path("a.tar");
    let place = fixture.open().unwrap().locate(20).offset as usize + 13;
    let mtime = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    bytes[place] ^= 1;
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(mtime).unwrap();
    let report = report(&fixture, true);
    assert_eq!(report.bad.len(), 1);
    assert!(report.bad[0].cause.starts_with("the bytes changed"), "{}", report.bad[0].cause);
}

#[test]
fn a_report_is_serialised_whole() {
    let fixture = Fixture::new();
    shard_of_images(&fixture);
    let json = serde_json::to_value(report(&fixture, false)).unwrap();
    assert_eq!((&json["samples"], &json["width"]["median"]), (&150.into(), &106.into()));
    assert_eq!(json["labels"]["2"], 50);
}
