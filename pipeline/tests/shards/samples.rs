//! What is a sample, in which order, and with which label.

use simsiam_pipeline::shards::{ShardSet, ShardWriter};

use crate::fixture::{Fixture, contents};

fn listed(set: &ShardSet) -> Vec<(String, Option<u32>, Vec<u8>)> {
    let sample = |i| set.read(i).map(|s| (s.key(), s.label, s.bytes.to_vec())).unwrap();
    (0..set.len()).map(sample).collect()
}

fn keys_labels_and_first_bytes(set: &ShardSet) -> Vec<(String, Option<u32>, u8)> {
    listed(set).into_iter().map(|(key, label, bytes)| (key, label, bytes[0])).collect()
}

#[test]
fn what_was_written_is_read() {
    let fixture = Fixture::new();
    fixture.shard("b.tar", 7);
    fixture.shard("a.tar", 12);
    let set = fixture.open().unwrap();
    let expected: Vec<_> =
        (0..12).chain(0..7).map(|i| (format!("n{i:04}"), Some(i % 10), contents(i))).collect();
    assert_eq!(listed(&set), expected);
    assert_eq!((set.len(), set.has_labels(), set.class_names()), (19, true, None));
    assert_eq!(set.label(13), Some(1));
    assert_eq!(set.shards().map(|shard| shard.samples()).collect::<Vec<_>>(), [12, 7]);
    let place = set.locate(13).to_string().replace(fixture.shards().to_str().unwrap(), "DIR");
    assert_eq!(place, r#"shard DIR/b.tar, sample 1 "n0001""#);
    set.read_ahead(13);
    set.read_ahead(u64::MAX);
    assert_eq!((set.label(19), set.locate(19).offset), (None, 0));
    assert_eq!(set.read(19).unwrap_err().to_string(), "sample 19: there are only 19 samples");
}

#[test]
fn members_with_one_key_make_one_sample() {
    let fixture = Fixture::new();
    fixture.members(
        "a.tar",
        &[
            ("x.cls", b"3\n"),
            ("x.json", b"{}"),
            ("x.JPG", b"1"),
            ("y.seg.png", b"2"),
            ("y.jpg", b"3"),
            ("y.cls", b"cat"),
            ("z.left.jpeg", b"4"),
            ("z.right.jpeg", b"5"),
            ("text.txt", b"no image"),
            ("d/w.v1.webp", b"6"),
            ("d/.hidden.jpg", b"7"),
        ],
    );
    let set = fixture.open().unwrap();
    let expected = [("x", Some(3), b'1'), ("y", None, b'3'), ("z", None, b'4'), ("d/w", None, b'6')];
    assert_eq!(
        keys_labels_and_first_bytes(&set),
        expected.map(|(key, label, byte)| (key.into(), label, byte))
    );
    assert!(!set.has_labels());
}

#[test]
fn duplicate_keys_are_samples_of_their_own() {
    let fixture = Fixture::new();
    let member = |name, byte| (name, byte);
    fixture.members(
        "a.tar",
        &[
            member("x.jpg", &b"1"[..]),
            member("x.cls", b"1"),
            member("x.jpg", b"2"),
            member("x.cls", b"2"),
            member("y.jpg", b"3"),
            member("x.jpg", b"4"),
        ],
    );
    let expected = [("x", Some(1), b'1'), ("x", Some(2), b'2'), ("y", None, b'3'), ("x", None, b'4')];
    let set = fixture.open().unwrap();
    assert_eq!(
        keys_labels_and_first_bytes(&set),
        expected.map(|(key, label, byte)| (key.into(), label, byte))
    );
}

#[test]
fn the_order_and_the_fingerprint_do_not_depend_on_the_patterns() {
    let fixture = Fixture::new();
    let (b, a) = (fixture.shard("b.tar", 3), fixture.shard("a.tar", 4));
    let options = Default::default();
    let patterns = [b.to_str().unwrap(), a.to_str().unwrap(), b.to_str().unwrap()];
    let (by_files, by_folder) = (ShardSet::open(&patterns, &options).unwrap(), fixture.open().unwrap());
    assert_eq!(listed(&by_files), listed(&by_folder));
    assert_eq!(by_files.fingerprint(), by_folder.fingerprint());

    let elsewhere = Fixture::new();
    elsewhere.shard("a.tar", 4);
    elsewhere.shard("b.tar", 3);
    assert_eq!(elsewhere.open().unwrap().fingerprint(), by_folder.fingerprint());
    elsewhere.shard("b.tar", 4);
    assert_ne!(elsewhere.open().unwrap().fingerprint(), by_folder.fingerprint());
}

#[test]
fn classes_are_named_by_the_file_beside_the_shards() {
    let fixture = Fixture::new();
    fixture.shard("a.tar", 1);
    std::fs::write(fixture.path("classes.txt"), "cat\nbig dog\n").unwrap();
    assert_eq!(fixture.open().unwrap().class_names().unwrap(), ["cat", "big dog"]);
}

#[test]
fn keys_that_would_be_read_back_differently_are_refused() {
    let fixture = Fixture::new();
    let mut writer = ShardWriter::create(&fixture.path("a.tar")).unwrap();
    for key in ["", "a/", "a.b", "dir/.a"] {
        assert!(writer.append(key, "jpg", b"x", None).is_err(), "{key:?}");
    }
    writer.append("v1.0/a", "jpg", b"x", None).unwrap();
    let error = writer.append("v1.0/a", "png", b"x", None).unwrap_err().to_string();
    assert!(error.ends_with(r#"key "v1.0/a" cannot be stored (it is that of the sample before)"#), "{error}");
    let error = writer.append("b", "jpg", b"x", Some(u32::MAX)).unwrap_err().to_string();
    assert!(
        error.ends_with(r#"label 4294967295 of key "b" cannot be stored (it stands for none)"#),
        "{error}"
    );
    writer.append("b", "jpg", b"x", Some(u32::MAX - 1)).unwrap();
    drop(writer);
    assert_eq!(std::fs::read_dir(fixture.shards()).unwrap().count(), 0, "unfinished shards leave nothing");
}

#[test]
fn long_keys_survive() {
    let fixture = Fixture::new();
    let key = format!("{}/größer {}", "d".repeat(300), "n".repeat(200));
    let mut writer = ShardWriter::create(&fixture.path("a.tar")).unwrap();
    writer.append(&key, "jpg", b"x", Some(1)).unwrap();
    writer.finish().unwrap();
    assert_eq!(keys_labels_and_first_bytes(&fixture.open().unwrap()), [(key, Some(1), b'x')]);
}
