//! Shards that other programs write.

use crate::fixture::{Fixture, jpeg};

/// Key, label and first byte of each sample.
fn samples(fixture: &Fixture) -> Vec<(String, Option<u32>, u8)> {
    let set = fixture.open().unwrap();
    let sample = |i| set.read(i).map(|s| (s.key(), s.label, s.bytes[0])).unwrap();
    (0..set.len()).map(sample).collect()
}

#[test]
fn webdatasets_writer() {
    // Members of a sample in alphabetical order, `__key__` as it is, dots only behind the key.
    let fixture = Fixture::new();
    fixture.members(
        "a.tar",
        &[
            ("train/000.cls", b"4"),
            ("train/000.jpg", b"1"),
            ("train/000.json", br#"{"label": 9}"#),
            ("train/000.txt", b"a caption"),
            ("train/001.input.png", b"2"),
            ("train/001.target.cls", b"1"),
        ],
    );
    let expected = [("train/000".into(), Some(4), b'1'), ("train/001".into(), Some(1), b'2')];
    assert_eq!(samples(&fixture), expected);
}

#[test]
fn hugging_faces_json_labels() {
    let fixture = Fixture::new();
    fixture.members(
        "a.tar",
        &[
            ("n01/x.webp", b"1"),
            ("n01/x.json", br#"{"label": 3, "__key__": "n01/x", "caption": "x"}"#),
            ("n01/y.json", br#"{"cls": 5}"#),
            ("n01/y.jpeg", b"2"),
            ("z.png", b"3"),
            ("z.json", br#"{"label": "cat"}"#),
        ],
    );
    let expected = [("n01/x", Some(3), b'1'), ("n01/y", Some(5), b'2'), ("z", None, b'3')];
    assert_eq!(samples(&fixture), expected.map(|(key, label, byte)| (key.into(), label, byte)));
}

#[test]
fn a_bad_cls_is_not_overruled() {
    let fixture = Fixture::new();
    fixture.members("a.tar", &[("x.cls", b"-1"), ("x.json", br#"{"label": 3}"#), ("x.jpg", b"1")]);
    assert_eq!(samples(&fixture), [("x".into(), None, b'1')]);
}

#[test]
fn img2datasets_folder() {
    let fixture = Fixture::new();
    let json =
        br#"{"key": "000000000", "status": "success", "caption": "a dog", "width": 256, "height": 256}"#;
    fixture.members(
        "00000.tar",
        &[("000000000.jpg", b"1"), ("000000000.json", json), ("000000000.txt", b"a dog")],
    );
    std::fs::write(fixture.path("00000.parquet"), b"PAR1").unwrap();
    std::fs::write(fixture.path("00000_stats.json"), b"{}").unwrap();
    assert_eq!(samples(&fixture), [("000000000".into(), None, b'1')]);
}

#[test]
fn clip_retrievals_and_cameras_extensions() {
    let fixture = Fixture::new();
    fixture
        .members("a.tar", &[("a.img", b"1"), ("a.cls", b"1"), ("b.jfif", b"2"), ("c.image", &jpeg(1, 8, 8))]);
    let expected = [("a", Some(1), b'1'), ("b", None, b'2'), ("c", None, 0xff)];
    assert_eq!(samples(&fixture), expected.map(|(key, label, byte)| (key.into(), label, byte)));
}
