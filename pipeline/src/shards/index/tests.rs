use super::super::label::Label;
use super::*;

const SHARD: FileStamp = FileStamp { bytes: 10_000, mtime_ns: 1_700_000_000_123_456_789 };

fn opened(index: Vec<u8>, source: FileStamp) -> Result<Index, Stale> {
    Index::from_bytes(index, &|found, _| found == source)
}

fn records() -> Vec<(Record, &'static str)> {
    let record = |offset, length, label| Record {
        offset,
        length,
        crc32: Some(length ^ 0xabcd),
        label,
        is_plain: true,
    };
    vec![
        (record(512, 100, Some(StoredLabel::Number(3))), "n01/first"),
        (record(1536, 0, None), ""),
        (record(2048, 7, Some(StoredLabel::Name(1))), "named"),
        (
            Record { crc32: None, is_plain: false, ..record(9_999, 90, Some(StoredLabel::Name(1))) },
            "unread.jpg",
        ),
        (record(9_000, 1_000, Some(StoredLabel::Number(u32::MAX - 1))), "dritter/größer"),
    ]
}

fn built() -> Vec<u8> {
    let mut builder = IndexBuilder::default();
    for name in ["no sample's", "cat"] {
        builder.store(&Label::Name(name.into())).unwrap();
    }
    for (record, key) in records() {
        builder.push(record, key.as_bytes()).unwrap();
    }
    builder.findings.push(FindingKind::Link, b"caf\xe9.jpg", 512, "");
    builder.findings.push(FindingKind::NotALabel, b"a.cls", 1024, "-1");
    builder.class_names = vec!["Katze".into(), "größer".into(), String::new()];
    builder.state = b"as it was".to_vec();
    builder.finish(SHARD)
}

#[test]
fn gives_back_what_was_put_in() {
    let index = opened(built(), SHARD).unwrap();
    assert_eq!((index.samples(), index.numbered()), (5, 2));
    assert_eq!(index.class_names(), Some(&["Katze".to_owned(), "größer".to_owned(), String::new()][..]));
    assert_eq!(index.names(), [("no sample's".to_owned(), 0), ("cat".to_owned(), 2)]);
    for (position, (record, key)) in (0..).zip(records()) {
        assert_eq!(
            (index.record(position), index.key(position)),
            (Some(record), Some(key.as_bytes().to_vec()))
        );
    }
    assert_eq!((index.record(5), index.key(5), index.key(u64::MAX)), (None, None, None));
    let found =
        [(FindingKind::Link, 512, "caf\u{fffd}.jpg", ""), (FindingKind::NotALabel, 1024, "a.cls", "-1")];
    let found =
        found.map(|(kind, offset, member, found)| (kind, offset, member.to_owned(), found.to_owned()));
    assert_eq!(index.findings().collect::<Vec<_>>(), found);
    assert!(index.finding_counts().eq([(FindingKind::Link, 1), (FindingKind::NotALabel, 1)]));
}

#[test]
fn every_flipped_bit_is_noticed() {
    let whole = built();
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut broken = whole.clone();
            broken[at] ^= 1 << bit;
            assert!(opened(broken, SHARD).is_err(), "bit {bit} of byte {at}");
        }
    }
}

#[test]
fn every_cut_and_every_addition_is_noticed() {
    let whole = built();
    for length in 0..whole.len() {
        assert_eq!(opened(whole[..length].to_vec(), SHARD).unwrap_err(), Stale::Corrupt, "{length}");
    }
    assert_eq!(opened([whole, vec![0]].concat(), SHARD).unwrap_err(), Stale::Corrupt);
}

#[test]
fn another_state_version_or_format_is_told_apart() {
    let stale = |bytes, shard| opened(bytes, shard).unwrap_err();
    assert_eq!(stale(built(), FileStamp { bytes: 10_001, ..SHARD }), Stale::Shard);
    assert_eq!(stale(built(), FileStamp { mtime_ns: 0, ..SHARD }), Stale::Shard);
    let mut other = built();
    other[8] = 1;
    assert_eq!(stale(other, SHARD), Stale::Version(1));
    let state_of = |state: &'static [u8]| Index::from_bytes(built(), &move |_, found| found == state).err();
    assert_eq!([state_of(b"as it was"), state_of(b"as it is")], [None, Some(Stale::Shard)]);
    assert_eq!(stale(b"something else".to_vec(), SHARD), Stale::Foreign);
}

#[test]
fn records_outside_the_shard_are_refused_even_with_the_right_hash() {
    let mut builder = IndexBuilder::default();
    builder
        .push(Record { offset: 9_990, length: 11, crc32: Some(0), label: None, is_plain: true }, b"a")
        .unwrap();
    assert_eq!(opened(builder.finish(SHARD), SHARD).unwrap_err(), Stale::Corrupt);
}

#[test]
fn labels_without_a_name_are_refused_even_with_the_right_hash() {
    let mut builder = IndexBuilder::default();
    let label = Some(StoredLabel::Name(0));
    builder.push(Record { offset: 0, length: 11, crc32: Some(0), label, is_plain: true }, b"a").unwrap();
    assert_eq!(opened(builder.finish(SHARD), SHARD).unwrap_err(), Stale::Corrupt);
}

#[test]
fn any_number_of_findings_and_names_is_counted_and_a_bounded_number_kept() {
    let mut builder = IndexBuilder::default();
    let long = "n".repeat(4096);
    for number in 0..70_000_usize {
        builder.findings.push(FindingKind::SecondImage, long.as_bytes(), number, "");
        let stored = builder.store(&Label::Name(number.to_string()));
        assert_eq!(stored.is_ok(), number < 65_536);
    }
    let index = opened(builder.finish(SHARD), SHARD).unwrap();
    assert!(index.finding_counts().eq([(FindingKind::SecondImage, 70_000)]));
    assert_eq!(index.findings().count(), 10_000);
    assert!(index.findings().all(|(.., member, _)| member == long[..1024]));
    assert_eq!(index.names().len(), 65_536);
}

#[test]
fn a_million_samples_open_quickly() {
    let mut builder = IndexBuilder::default();
    let shard = FileStamp { bytes: u64::MAX, mtime_ns: 0 };
    for i in 0..1_300_000_u64 {
        let record = Record {
            offset: i << 17,
            length: 110_000,
            crc32: Some(i as u32),
            label: Some(StoredLabel::Number((i % 1000) as u32)),
            is_plain: true,
        };
        builder.push(record, format!("n01440764/n01440764_{i:07}").as_bytes()).unwrap();
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shard.idx");
    std::fs::write(&path, builder.finish(shard)).unwrap();

    let start = std::time::Instant::now();
    let index = Index::from_mapping(Mapping::open(&path).unwrap().0, &|found, _| found == shard).unwrap();
    let opened = start.elapsed();
    assert_eq!(index.key(1_299_999), Some(b"n01440764/n01440764_1299999".to_vec()));
    println!(
        "1.3 million samples, {} MB: opened in {opened:?}",
        std::fs::metadata(&path).unwrap().len() >> 20
    );
    // The aim is under 0.2 s; this leaves room for a busy machine.
    assert!(opened.as_secs_f64() < 1.0, "{opened:?}");
}
