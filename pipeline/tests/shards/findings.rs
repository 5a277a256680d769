//! What is in no sample is counted and named, each time.

use std::fs;
use std::path::Path;

use simsiam_pipeline::shards::{FindingKind, ShardSet};

use crate::fixture::{Fixture, jpeg};

/// Kind and text of each finding, with the folder's path left out.
fn findings(fixture: &Fixture) -> Vec<(FindingKind, String)> {
    let set = fixture.open().unwrap();
    let prefix = format!("{}/", fixture.shards().display());
    let of_shard = |shard: &simsiam_pipeline::shards::Shard| {
        let counted: u64 = shard.finding_counts().map(|(_, count)| count).sum();
        assert_eq!(counted as usize, shard.findings().count());
        let list = shard.findings().map(|finding| (finding.kind, finding.to_string().replace(&prefix, "")));
        list.collect::<Vec<_>>()
    };
    set.shards().flat_map(of_shard).collect()
}

fn expected(list: &[(FindingKind, &str)]) -> Vec<(FindingKind, String)> {
    list.iter().map(|&(kind, text)| (kind, format!("shard a.tar, {text}"))).collect()
}

#[test]
fn images_that_no_sample_uses_are_named_with_the_reason() {
    use FindingKind::{DottedName, HiddenName, NoExtension, SecondImage, UnreadFormat};
    let fixture = Fixture::new();
    let image = &jpeg(1, 8, 8)[..];
    fixture.members(
        "a.tar",
        &[
            ("photo.1.jpg", image),
            ("photo.2.jpg", image),
            ("x.png", image),
            ("x.jpg", image),
            ("x.thumb", image),
            ("d/.hidden.jpg", image),
            ("d/._y.jpg", b"\0\x05\x16\x07 the resources of y.jpg"),
            ("README", b"no image"),
            ("ILSVRC2012_val_00000001", image),
            ("y.avif", image),
            ("y.txt", b"a caption"),
            ("z.jpg.gz", b"\x1f\x8b"),
            ("y.seg.png", image),
            ("y.jpg", image),
        ],
    );
    let list = expected(&[
        (HiddenName, r#"member "d/.hidden.jpg""#),
        (NoExtension, r#"member "ILSVRC2012_val_00000001""#),
        (UnreadFormat, r#"member "y.avif" (AVIF)"#),
        (UnreadFormat, r#"member "z.jpg.gz" (gzip-compressed)"#),
        (DottedName, r#"member "photo.2.jpg" (the sample has "photo.1.jpg")"#),
        (SecondImage, r#"member "x.jpg" (the sample has "x.png")"#),
        (SecondImage, r#"member "x.thumb" (the sample has "x.png")"#),
        (DottedName, r#"member "y.seg.png" (the sample has "y.jpg")"#),
    ]);
    let mut found = findings(&fixture);
    found.sort_by_key(|(kind, _)| list.iter().position(|(other, _)| other == kind));
    let mut list_sorted = list.clone();
    list_sorted.sort_by_key(|(kind, _)| list.iter().position(|(other, _)| other == kind));
    assert_eq!(found, list_sorted);
    assert_eq!(findings(&fixture).len(), 8, "from the index, too");
    assert_eq!(fixture.open().unwrap().len(), 3);

    let warnings = fixture.open().unwrap().warnings();
    let text = warnings.join("\n").replace(&format!("{}/", fixture.shards().display()), "");
    assert!(text.starts_with("8 images are not used: 2 with a further dot in the name, so under the key of another image (first: shard a.tar, member \"photo.2.jpg\" (the sample has \"photo.1.jpg\"); WebDataset's rule: a key ends at the first dot"), "{text}");
    assert!(text.ends_with("; `simsiam inspect` lists all") && warnings.len() == 1, "{text}");
}

#[test]
fn a_shard_without_any_image_says_which_it_cannot_use() {
    let fixture = Fixture::new();
    fixture.members("a.tar", &[("x.avif", b"1"), ("y.heic", b"2"), ("x.cls", b"3")]);
    assert_eq!(
        fixture.error(),
        "shard a.tar: no images among its 3 members; not used: 2 of a format that is not read"
    );
}

#[test]
fn links_are_named() {
    let fixture = Fixture::new();
    let mut builder = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_size(3);
    builder.append_data(&mut header, "a.jpg", &b"abc"[..]).unwrap();
    for (kind, name) in [
        (tar::EntryType::Link, "b.jpg"),
        (tar::EntryType::Symlink, "c.jpg"),
        (tar::EntryType::Symlink, "c.txt"),
    ] {
        let mut header = tar::Header::new_ustar();
        header.set_size(0);
        header.set_entry_type(kind);
        builder.append_link(&mut header, name, "a.jpg").unwrap();
    }
    fs::write(fixture.path("a.tar"), builder.into_inner().unwrap()).unwrap();
    let link = FindingKind::Link;
    assert_eq!(findings(&fixture), expected(&[(link, r#"member "b.jpg""#), (link, r#"member "c.jpg""#)]));
}

#[test]
fn archives_that_are_joined_are_read_on_with_the_same_keys_in_each() {
    let fixture = Fixture::new();
    let first = fs::read(
        fixture.members("a.tar", &[("x.jpg", b"1"), ("y.jpg", b"2"), ("x.cls", b"1"), ("y.cls", b"2")]),
    )
    .unwrap();
    let second = fs::read(fixture.members("a.tar", &[("x.jpg", b"3"), ("x.cls", b"3")])).unwrap();
    fs::write(fixture.path("a.tar"), [&first[..], &second].concat()).unwrap();
    let set = fixture.open().unwrap();
    let samples: Vec<_> =
        (0..set.len()).map(|i| set.read(i).map(|s| (s.key(), s.label, s.bytes[0])).unwrap()).collect();
    let samples: Vec<_> = samples.iter().map(|(key, label, first)| (&**key, *label, *first)).collect();
    assert_eq!(samples, [("x", Some(1), b'1'), ("y", Some(2), b'2'), ("x", Some(3), b'3')]);
    let offset = first.len();
    assert_eq!(findings(&fixture), expected(&[(FindingKind::Joined, &format!("offset {offset}"))]));
    assert!(set.warnings().is_empty(), "all is read");
}

#[test]
fn an_odd_end_is_said_each_time() {
    let fixture = Fixture::new();
    let whole = fs::read(fixture.members("a.tar", &[("x.jpg", b"1")])).unwrap();
    let write = |bytes: &[u8]| fs::write(fixture.path("a.tar"), bytes).unwrap();
    let said =
        || fixture.open().unwrap().warnings().join("\n").replace(fixture.shards().to_str().unwrap(), "DIR");
    write(&whole[..1024]);
    let early = "1 shard without a tar's closing zeros, so perhaps cut short (first: shard DIR/a.tar, offset 1024; compare its size \
        with the original's); `simsiam inspect` lists all";
    assert_eq!([said(), said()], [early, early]);
    write(&[&whole[..], b"\x1f\x8b and the rest"].concat());
    let trailing = "1 shard with data behind the end that is no tar archive and is not read (first: shard DIR/a.tar, offset 2048 \
        (gzip-compressed)); `simsiam inspect` lists all";
    assert_eq!([said(), said()], [trailing, trailing]);
}

#[test]
fn class_names_in_another_encoding_are_read_with_a_warning() {
    let fixture = Fixture::new();
    fixture.shard("a.tar", 3);
    fs::write(fixture.path("classes.txt"), b"cat\ncaf\xe9\n").unwrap();
    let set = fixture.open().unwrap();
    assert_eq!(set.class_names().unwrap(), ["cat", "caf\u{fffd}"]);
    let text = set.warnings().join("\n");
    assert!(
        text.ends_with("classes.txt: not UTF-8 (byte 0xe9 at offset 7), so read with replacement characters"),
        "{text}"
    );
}

#[test]
fn what_is_no_tar_is_named_with_what_to_do() {
    let fixture = Fixture::new();
    for (bytes, expected) in [
        (
            &b"\x1f\x8b\x08\0"[..],
            "not a tar archive but gzip-compressed; `gzip -dc < DIR/a.tar > DIR/a-plain.tar` makes a shard of it",
        ),
        (b"\x28\xb5\x2f\xfd", "not a tar archive but Zstandard-compressed; `zstd -dc < DIR/a.tar > "),
        (b"<!DOCTYPE html><html>", "not a tar archive but an HTML page; download it again"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "not a tar archive but a Git LFS pointer; `git lfs pull`",
        ),
    ] {
        for length in [bytes.len(), 2_000] {
            let mut file = bytes.to_owned();
            file.resize(length, 7);
            fs::write(fixture.path("a.tar"), file).unwrap();
            let error =
                ShardSet::open(&[fixture.path("a.tar").to_str().unwrap()], &Default::default()).unwrap_err();
            let error = error.to_string().replace(Path::new(&fixture.shards()).to_str().unwrap(), "DIR");
            assert!(error.starts_with(&format!("shard DIR/a.tar: {expected}")), "{error}");
        }
    }
}
