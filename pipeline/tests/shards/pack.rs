//! From an ImageFolder to shards, and back.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use simsiam_pipeline::decode::probe;
use simsiam_pipeline::pack::{PackError, PackOptions, PackOrder, PackProgress, PackReport, pack, pack_set};
use simsiam_pipeline::shards::{FindingKind, Labels, OpenOptions, Shard, ShardSet};
use simsiam_pipeline::unpack::{UnpackError, UnpackOptions, unpack};

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
    pack(source.to_str().unwrap(), out, options, &mut |_| ()).unwrap()
}

fn open(out: &Path) -> ShardSet {
    ShardSet::open(&[out.to_str().unwrap()], &Default::default()).unwrap()
}

#[test]
fn packing_and_unpacking_stop_early_and_leave_no_partial_file() {
    let fixture = Fixture::new();
    let (source, out) = (image_folder(&fixture), fixture.path("out"));
    let options = PackOptions { threads: 1, ..Default::default() };
    let stop = options.stop.clone();
    let stopped =
        pack(source.to_str().unwrap(), &out, &options, &mut |_| stop.store(true, Ordering::Relaxed));
    assert!(matches!(stopped, Err(PackError::Stopped)), "{stopped:?}");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 0);

    run(&source, &out, &PackOptions::default());
    let options = UnpackOptions { threads: 1, ..Default::default() };
    let stop = options.stop.clone();
    let unpacked = fixture.path("unpacked");
    let stopped = unpack(&open(&out), &unpacked, &options, &mut |_| stop.store(true, Ordering::Relaxed));
    assert!(matches!(stopped, Err(UnpackError::Stopped)), "{stopped:?}");
}

#[test]
fn images_are_packed_byte_for_byte_with_their_labels() {
    let fixture = Fixture::new();
    let (source, out) = (image_folder(&fixture), fixture.path("out"));
    let options = PackOptions { shard_bytes: 30_000, threads: 3, ..Default::default() };
    let mut seen = Vec::new();
    let report = pack(source.to_str().unwrap(), &out, &options, &mut |progress| seen.push(progress)).unwrap();
    assert_eq!((report.images, report.skipped.len(), report.left_out), (60, 0, None));
    assert_eq!(seen.last(), Some(&PackProgress { done: 60, total: 60, bytes: seen.last().unwrap().bytes }));
    assert!(report.shards.len() > 2 && report.shards[1].ends_with("train-001.tar"), "{:?}", report.shards);
    assert_eq!(report.bytes, report.shards.iter().map(|path| fs::metadata(path).unwrap().len()).sum::<u64>());

    let set = open(&out);
    assert_eq!(set.class_names().unwrap(), ["n01.cat", "n02 dog"]);
    assert_eq!((set.len(), set.has_labels()), (60, true));
    let mut keys = Vec::new();
    for i in 0..60 {
        let sample = set.read(i).unwrap();
        let key = sample.key();
        let (class, name) = key.split_once('/').unwrap();
        assert_eq!(sample.label, Some(u32::from(class == "n02 dog")));
        let file = match name {
            "sub/deep" => "sub/deep.jpg".to_owned(),
            name => format!("{}.JPEG", name.replace('_', ".")),
        };
        assert_eq!(sample.bytes, fs::read(source.join(class).join(file)).unwrap());
        keys.push(sample.key());
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
    assert_ne!(bytes("c", &PackOptions { order: PackOrder::Shuffled { seed: 1 }, ..options.clone() }), first);
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
        let info = probe(&sample.bytes).unwrap();
        if sample.key().ends_with("deep") {
            assert_eq!((info.width, info.height), (24, 40));
        } else {
            assert_eq!((info.width, info.height), (40, 24));
            let name = format!("{}.JPEG", sample.key().replace('_', "."));
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
    assert_eq!((kept.images, kept.skipped.len()), (59, 1));
    for (name, max_side, quality) in [("scaled", Some(20), None), ("encoded", None, Some(90))] {
        let options = PackOptions { max_side, quality, ..Default::default() };
        let report = run(&source, &fixture.path(name), &options);
        assert_eq!((report.images, report.skipped.len()), (59, 1));
        assert!(report.skipped[0].at.contains("n01.cat/img.7"), "{}", report.skipped[0].at);
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
    let report = run(&fixture.path("source"), &fixture.path("out"), &PackOptions::default());
    assert_eq!((report.images, report.renamed), (3, 2));
    let set = open(&fixture.path("out"));
    let mut found: Vec<_> = (0..set.len())
        .map(|i| set.read(i).unwrap())
        .map(|sample| (sample.key(), sample.bytes.to_vec()))
        .collect();
    found.sort();
    // What has the key as its name keeps it.
    let expected = [("cat/a_b", 2), ("cat/a_b-2", 1), ("cat/a_b-3", 0)];
    assert_eq!(found, expected.map(|(key, seed)| (key.to_owned(), jpeg(seed, 8, 8))));
}

#[test]
fn what_cannot_be_packed_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    let (source, out) = (fixture.path("source"), fixture.path("out"));
    let error = |source: &Path| {
        let error = pack(source.to_str().unwrap(), &out, &PackOptions::default(), &mut |_| ()).unwrap_err();
        error.to_string().replace(fixture.shards().to_str().unwrap(), "DIR")
    };
    assert_eq!(error(&source), "DIR/source: no such file or folder");
    fs::create_dir_all(source.join("cat")).unwrap();
    fs::write(source.join("a.heic"), b"x").unwrap();
    assert_eq!(error(&source), "DIR/source: holds no image, and no .tar, .zip or .parquet file");
    assert!(!out.exists());
    fs::write(source.join("cat/a.jpg"), jpeg(1, 8, 8)).unwrap();
    run(&source, &out, &PackOptions::default());
    assert_eq!(error(&source), "DIR/out: already holds shards (found train-000.tar)");
}

/// A folder with a tiny image under each of these names.
fn images(fixture: &Fixture, names: &[&str]) -> PathBuf {
    let source = fixture.path("source");
    for (seed, name) in (0..).zip(names) {
        fs::create_dir_all(source.join(name).parent().unwrap()).unwrap();
        fs::write(source.join(name), jpeg(seed, 8, 8)).unwrap();
    }
    source
}

/// The classes, and the key and label of each sample, as these images are packed.
type Packed = (Vec<String>, Vec<(String, Option<u32>)>);

fn packed(names: &[&str], labels: Labels) -> Packed {
    let fixture = Fixture::new();
    let (source, out) = (images(&fixture, names), fixture.path("out"));
    let opened = OpenOptions { labels, store_indexes: false, ..Default::default() };
    let set = ShardSet::open(&[source.to_str().unwrap()], &opened).unwrap();
    let report = pack_set(&set, None, &out, &PackOptions::default(), &mut |_| ()).unwrap();
    let set = open(&out);
    let sample = |i| set.read(i).map(|sample| (sample.key(), sample.label)).unwrap();
    let mut samples: Vec<_> = (0..set.len()).map(sample).collect();
    samples.sort();
    assert_eq!(set.class_names().is_some(), !report.classes.is_empty());
    (report.classes, samples)
}

fn expected(classes: &[&str], samples: &[(&str, Option<u32>)]) -> Packed {
    let samples = samples.iter().map(|&(key, label)| (key.to_owned(), label));
    (classes.iter().map(|&class| class.to_owned()).collect(), samples.collect())
}

#[test]
fn a_flat_folder_is_packed_without_labels() {
    let names = ["b.jpg", "a.JPEG", "c.jfif", "IMG.0001.jpg"];
    let samples = [("IMG_0001", None), ("a", None), ("b", None), ("c", None)];
    assert_eq!(packed(&names, Labels::Own), expected(&[], &samples));
}

#[test]
fn labels_are_those_that_the_source_is_opened_with() {
    let names = ["2023/may/a.jpg", "2023/june/b.jpg", "2024/c.jpg", "loose.jpg"];
    let samples = |labels: [Option<u32>; 4]| {
        ["2023/june/b", "2023/may/a", "2024/c", "loose"].into_iter().zip(labels).collect::<Vec<_>>()
    };
    let first = samples([Some(0), Some(0), Some(1), None]);
    assert_eq!(packed(&names, Labels::Folders), expected(&["2023", "2024"], &first));
    let parents = samples([Some(0), Some(1), Some(2), None]);
    assert_eq!(packed(&names, Labels::Parents), expected(&["2023/june", "2023/may", "2024"], &parents));
    assert_eq!(packed(&names, Labels::None), expected(&[], &samples([None; 4])));

    let fixture = Fixture::new();
    let source = images(&fixture, &names);
    let unclear = pack(source.to_str().unwrap(), &fixture.path("out"), &PackOptions::default(), &mut |_| ());
    assert!(
        matches!(&unclear, Err(PackError::UnclearFolders { found, .. }) if found == "some images lie in no folder"),
        "{unclear:?}"
    );
    let table = fixture.path("labels.csv");
    fs::write(&table, "filename,label\nc.jpg,old\nloose.jpg,new\n").unwrap();
    let listed = samples([None, None, Some(1), Some(0)]);
    assert_eq!(packed(&names, Labels::Table(table)), expected(&["new", "old"], &listed));
}

#[test]
fn the_contents_decide_where_the_name_says_nothing() {
    let fixture = Fixture::new();
    let source = images(&fixture, &["plain", "x.img", "disk.img", "y.thm", "z.jpg"]);
    fs::write(source.join("disk.img"), [0; 9_000]).unwrap();
    fs::write(source.join("caption"), "a cat").unwrap();
    let report = run(&source, &fixture.path("out"), &PackOptions::default());
    let set = open(&fixture.path("out"));
    let mut keys: Vec<_> = (0..set.len()).map(|i| set.read(i).unwrap().key()).collect();
    keys.sort();
    assert_eq!((report.images, keys), (3, ["plain", "x", "z"].map(str::to_owned).to_vec()));
}

#[cfg(unix)]
#[test]
fn what_cannot_be_read_is_left_out_and_named_and_nothing_is_waited_for() {
    use std::os::unix::{fs::symlink, net::UnixListener};
    let fixture = Fixture::new();
    let source = images(&fixture, &["cat/a.jpg", "dog/b.jpg"]);
    symlink("../dog/b.jpg", source.join("cat/linked.jpg")).unwrap();
    symlink("/nowhere.jpg", source.join("cat/dangling.jpg")).unwrap();
    symlink("itself.jpg", source.join("cat/itself.jpg")).unwrap();
    symlink("..", source.join("cat/up")).unwrap();
    symlink("../dog", source.join("cat/pack")).unwrap();
    symlink("/dev/zero", source.join("cat/zero.jpg")).unwrap();
    fs::write(source.join("cat/.hidden.jpg"), b"x").unwrap();
    fs::write(source.join("cat/.DS_Store"), b"x").unwrap();
    fs::write(source.join("dog/more.zip"), b"x").unwrap();
    let pipe = source.join("cat/pipe.jpg");
    assert!(std::process::Command::new("mkfifo").arg(pipe).status().unwrap().success());
    let _socket = UnixListener::bind(source.join("dog/s.jpg")).unwrap();
    let set = ShardSet::open(
        &[source.to_str().unwrap()],
        &OpenOptions { store_indexes: false, ..Default::default() },
    )
    .unwrap();
    let report = pack_set(&set, None, &fixture.path("out"), &PackOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((report.images, report.classes.len()), (3, 2), "a, b, and b by a link to the file");
    let findings: Vec<_> = set.shards().flat_map(Shard::findings).map(|f| (f.kind, f.member)).collect();
    let expected = [
        (FindingKind::HiddenName, "cat/.hidden.jpg"),
        (FindingKind::Unreadable, "cat/dangling.jpg"),
        (FindingKind::Unreadable, "cat/itself.jpg"),
        (FindingKind::AmongImages, "dog/more.zip"),
    ];
    assert_eq!(findings, expected.map(|(kind, name)| (kind, name.into())));
}
