//! From an ImageFolder to shards, and back.

use std::fs;
use std::path::{Path, PathBuf};

use simsiam_pipeline::decode::probe;
use simsiam_pipeline::pack::{PackOptions, PackProgress, PackReport, pack};
use simsiam_pipeline::shards::ShardSet;

use crate::fixture::{Fixture, jpeg};

/// Two classes with 30 images each, one of them in a sub-folder, and files that are no images.
fn image_folder(fixture: &Fixture) -> PathBuf {
    let source = fixture.path("source");
    for (class, seed) in [("n02 dog", 100), ("n01.cat", 0)] {
        fs::create_dir_all(source.join(class).join("sub")).unwrap();
        for i in 0..29 {
            fs::write(source.join(class).join(format!("img.{i}.JPEG")), jpeg(seed + i, 40, 24)).unwrap();
        }
        fs::write(source.join(class).join("sub/deep.jpg"), jpeg(seed + 99, 30, 50)).unwrap();
    }
    fs::write(source.join("readme.txt"), "hello").unwrap();
    fs::write(source.join("n01.cat/notes.txt"), "hello").unwrap();
    source
}

fn run(source: &Path, out: &Path, options: &PackOptions) -> PackReport {
    pack(source, out, options, &mut |_| ()).unwrap()
}

fn open(out: &Path) -> ShardSet {
    ShardSet::open(&[out.to_str().unwrap()], &Default::default()).unwrap()
}

#[test]
fn images_are_packed_byte_for_byte_with_their_labels() {
    let fixture = Fixture::new();
    let (source, out) = (image_folder(&fixture), fixture.path("out"));
    let options = PackOptions { shard_bytes: 30_000, threads: 3, ..Default::default() };
    let mut seen = Vec::new();
    let report = pack(&source, &out, &options, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!((report.images, report.skipped.len(), report.ignored_files), (60, 0, 2));
    assert_eq!(seen.last(), Some(&PackProgress { done: 60, total: 60, bytes: seen.last().unwrap().bytes }));
    assert!(report.shards.len() > 2 && report.shards[1].ends_with("train-001.tar"), "{:?}", report.shards);
    assert_eq!(report.bytes, report.shards.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>());

    let set = open(&out);
    assert_eq!(set.class_names().unwrap(), ["n01.cat", "n02 dog"]);
    assert_eq!((set.len(), set.has_labels()), (60, true));
    let mut keys = Vec::new();
    for i in 0..60 {
        let sample = set.read(i).unwrap();
        let (class, name) = sample.key.split_once('/').unwrap();
        assert_eq!(sample.label, Some(u32::from(class == "n02 dog")));
        let file = match name {
            "sub/deep" => "sub/deep.jpg".to_owned(),
            name => format!("{}.JPEG", name.replace('_', ".")),
        };
        assert_eq!(sample.bytes, fs::read(source.join(class).join(file)).unwrap());
        keys.push(sample.key.to_owned());
    }
    assert!(!keys.is_sorted(), "shuffled");
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 60);
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let fixture = Fixture::new();
    let source = image_folder(&fixture);
    let bytes = |name: &str, options: &PackOptions| {
        run(&source, &fixture.path(name), options)
            .shards
            .iter()
            .map(|path| fs::read(path).unwrap())
            .collect::<Vec<_>>()
    };
    let options = PackOptions { shard_bytes: 30_000, threads: 1, ..Default::default() };
    let first = bytes("a", &options);
    assert_eq!(bytes("b", &PackOptions { threads: 5, ..options.clone() }), first);
    assert_ne!(bytes("c", &PackOptions { seed: 1, ..options.clone() }), first);
    let encoded = PackOptions { max_side: Some(20), quality: Some(80), ..options };
    assert_eq!(bytes("d", &encoded), bytes("e", &PackOptions { threads: 4, ..encoded.clone() }));
}

#[test]
fn large_images_are_scaled_and_small_ones_left_alone() {
    let fixture = Fixture::new();
    let source = image_folder(&fixture);
    let out = fixture.path("out");
    run(&source, &out, &PackOptions { max_side: Some(40), ..Default::default() });
    let set = open(&out);
    for i in 0..set.len() {
        let sample = set.read(i).unwrap();
        let info = probe(sample.bytes).unwrap();
        if sample.key.ends_with("deep") {
            assert_eq!((info.width, info.height), (24, 40));
        } else {
            assert_eq!((info.width, info.height), (40, 24));
            let name = format!("{}.JPEG", sample.key.replace('_', "."));
            assert_eq!(sample.bytes, fs::read(source.join(name)).unwrap());
        }
    }
}

#[test]
fn images_that_cannot_be_decoded_are_left_out_and_listed() {
    let fixture = Fixture::new();
    let source = image_folder(&fixture);
    fs::write(source.join("n01.cat/img.7.JPEG"), b"no image at all").unwrap();
    let kept = run(&source, &fixture.path("kept"), &PackOptions::default());
    assert_eq!((kept.images, kept.skipped.len()), (60, 0), "a copy needs no decoding");
    for (name, max_side, quality) in [("scaled", Some(20), None), ("encoded", None, Some(90))] {
        let options = PackOptions { max_side, quality, ..Default::default() };
        let report = run(&source, &fixture.path(name), &options);
        assert_eq!((report.images, report.skipped.len()), (59, 1));
        assert!(report.skipped[0].path.ends_with("n01.cat/img.7.JPEG"));
        assert!(report.skipped[0].cause.starts_with("not an image"), "{}", report.skipped[0].cause);
    }
}

#[test]
fn names_that_give_one_key_stay_apart() {
    let fixture = Fixture::new();
    let class = fixture.path("source/cat");
    fs::create_dir_all(&class).unwrap();
    for (i, name) in (0..).zip(["a.b.jpg", "a_b.jpg", "a_b.jpeg"]) {
        fs::write(class.join(name), jpeg(i, 8, 8)).unwrap();
    }
    run(&fixture.path("source"), &fixture.path("out"), &PackOptions::default());
    let set = open(&fixture.path("out"));
    let mut keys: Vec<_> = (0..set.len()).map(|i| set.read(i).unwrap().key).collect();
    keys.sort();
    assert_eq!(keys, ["cat/a_b", "cat/a_b-2", "cat/a_b-3"]);
}

#[test]
fn what_cannot_be_packed_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    let (source, out) = (fixture.path("source"), fixture.path("out"));
    let error = |source: &Path| {
        let error = pack(source, &out, &PackOptions::default(), &mut |_| ()).unwrap_err();
        error.to_string().replace(fixture.shards().to_str().unwrap(), "DIR")
    };
    assert_eq!(error(&source), "cannot list DIR/source");
    fs::create_dir_all(source.join("cat")).unwrap();
    fs::write(source.join("loose.jpg"), jpeg(1, 8, 8)).unwrap();
    let expected = "DIR/source: no class folders with images (expected FOLDER/CLASS/IMAGE.jpg)";
    assert_eq!(error(&source), expected);
    assert!(!out.exists());
    fs::write(source.join("cat/a.jpg"), jpeg(1, 8, 8)).unwrap();
    run(&source, &out, &PackOptions::default());
    assert_eq!(error(&source), "DIR/out: already holds shards (found train-000.tar)");
}
