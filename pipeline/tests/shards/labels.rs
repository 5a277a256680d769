//! Labels wherever they stand, and as names.

use simsiam_pipeline::shards::{FindingKind, OpenOptions, ShardSet};

use crate::fixture::Fixture;

fn labels(set: &ShardSet) -> Vec<Option<u32>> {
    (0..set.len()).map(|sample| set.label(sample)).collect()
}

/// Kind, member and what was found, of each label that is not used.
fn unused(set: &ShardSet) -> Vec<(FindingKind, String, String)> {
    let findings = set.shards().flat_map(|shard| shard.findings());
    findings.map(|finding| (finding.kind, finding.member.into_owned(), finding.found.into_owned())).collect()
}

#[test]
fn labels_apart_from_their_images_are_joined_by_the_key() {
    let fixture = Fixture::new();
    fixture.members(
        "a.tar",
        &[
            ("d/a.jpg", b"1"),
            ("d/b.jpg", b"2"),
            ("c.jpg", b"3"),
            ("c.cls", b"9"),
            ("d/b.cls", b"5"),
            ("c.json", br#"{"label": 9}"#),
            ("d/a.json", br#"{"label": "4"}"#),
        ],
    );
    let set = fixture.open().unwrap();
    assert_eq!((labels(&set), unused(&set)), (vec![Some(4), Some(5), Some(9)], vec![]));
    assert_eq!(set.read(0).unwrap().label, Some(4));
    assert!(set.has_labels() && set.warnings().is_empty());
}

#[test]
fn labels_with_a_doubt_are_counted_with_the_reason() {
    use FindingKind::{LabelsDiffer, ManyImages, NoImage, NotALabel, NotJson};
    let fixture = Fixture::new();
    fixture.members(
        "a.tar",
        &[
            ("twice.jpg", b"1"),
            ("other.jpg", b"2"),
            ("twice.jpg", b"3"),
            ("own.jpg", b"4"),
            ("own.cls", b"1"),
            ("bad.jpg", b"5"),
            ("bad.cls", b"-1"),
            ("text.jpg", b"6"),
            ("text.json", b"no JSON"),
            ("two.jpg", b"7"),
            ("two.left.cls", b"1"),
            ("two.right.cls", b"2"),
            ("twice.cls", b"1"),
            ("own.cls", b"2"),
            ("gone.cls", b"3"),
            ("gone.txt", b"a caption"),
            ("meta.json", b"no JSON, and nobody's"),
        ],
    );
    let set = fixture.open().unwrap();
    assert_eq!(labels(&set), [None, None, None, Some(1), None, None, None]);
    let expected = [
        (NotALabel, "bad.cls", "-1"),
        (NotJson, "text.json", "expected ident at line 1 column 2"),
        (LabelsDiffer, "two.left.cls", "1"),
        (LabelsDiffer, "two.right.cls", "2"),
        (ManyImages, "twice.cls", "1"),
        (LabelsDiffer, "own.cls", "2"),
        (NoImage, "gone.cls", "3"),
    ];
    assert_eq!(
        unused(&set),
        expected.map(|(kind, member, found)| (kind, member.to_owned(), found.to_owned()))
    );
    assert!(set.warnings()[0].starts_with("7 labels are not used: 1 neither a whole number from 0 to"));
}

#[test]
fn a_qualified_label_goes_with_the_image_of_its_qualifier() {
    let fixture = Fixture::new();
    fixture.members(
        "a.tar",
        &[
            ("v1.0_a.jpg", b"1"),
            ("v1.0_a.cls", b"1"),
            ("v1.0_b.jpg", b"2"),
            ("v1.0_b.cls", b"2"),
            ("x.input.png", b"3"),
            ("x.target.cls", b"3"),
        ],
    );
    let set = fixture.open().unwrap();
    assert_eq!(labels(&set), [Some(1), Some(3)]);
    let kinds: Vec<_> = unused(&set).into_iter().map(|(kind, member, _)| (kind, member)).collect();
    let expected = [(FindingKind::DottedName, "v1.0_b.jpg"), (FindingKind::LabelsDiffer, "v1.0_b.cls")];
    assert_eq!(kinds, expected.map(|(kind, member)| (kind, member.to_owned())));
}

#[test]
fn names_become_classes_by_their_order_over_all_shards() {
    let fixture = Fixture::new();
    fixture.members("a.tar", &[("a.jpg", b"1"), ("a.cls", b"dog\n"), ("b.jpg", b"2"), ("b.cls", b"ant")]);
    fixture.members(
        "b.tar",
        &[("c.jpg", b"3"), ("c.json", br#"{"label": "cat", "x": NaN}"#), ("d.jpg", b"4"), ("d.cls", b"dog")],
    );
    for _ in 0..2 {
        let set = fixture.open().unwrap();
        assert_eq!(labels(&set), [Some(2), Some(0), Some(1), Some(2)]);
        assert_eq!(set.class_names().unwrap(), ["ant", "cat", "dog"]);
        assert!(set.has_labels() && set.warnings().is_empty());
        assert_eq!(set.shards().map(|shard| shard.labelled()).collect::<Vec<_>>(), [2, 2]);
    }
}

#[test]
fn another_sets_names_give_the_same_numbers() {
    let (train, val) = (Fixture::new(), Fixture::new());
    train.members("a.tar", &[("a.jpg", b"1"), ("a.cls", b"ant"), ("b.jpg", b"2"), ("b.cls", b"cat")]);
    val.members("a.tar", &[("a.jpg", b"1"), ("a.cls", b"cat"), ("b.jpg", b"2"), ("b.cls", b"bee")]);
    let train = train.open().unwrap();
    let class_names = train.class_names().map(<[String]>::to_vec);
    let options = OpenOptions { class_names, ..Default::default() };
    let val = ShardSet::open(&[val.path("a.tar").to_str().unwrap()], &options).unwrap();
    assert_eq!(labels(&val), [Some(1), Some(2)]);
    assert_eq!(val.class_names().unwrap(), ["ant", "cat", "bee"]);
    let warning = "1 label is not in the list of 2 classes, so numbered behind it (1 of \"bee\")";
    assert_eq!(val.warnings(), [warning]);
    assert!(train.shares_labels_with(&val));
}

#[test]
fn names_beside_numbers_are_labels_only_where_a_list_numbers_them() {
    let fixture = Fixture::new();
    fixture.members("a.tar", &[("a.jpg", b"1"), ("a.cls", b"7"), ("b.jpg", b"2"), ("b.cls", b"cat")]);
    let set = fixture.open().unwrap();
    assert_eq!((labels(&set), set.has_labels(), set.class_names()), (vec![Some(7), None], false, None));
    let warning = "1 label is not used, as a name among numbers (1 of \"cat\"); a classes.txt beside the \
        shards says which number a name has";
    assert_eq!(set.warnings(), [warning]);

    let names = Fixture::new();
    names.members("a.tar", &[("a.jpg", b"1"), ("a.cls", b"cat")]);
    assert!(
        !names.open().unwrap().shares_labels_with(&set) && !set.shares_labels_with(&names.open().unwrap())
    );

    std::fs::write(fixture.path("classes.txt"), "dog\ncat\n").unwrap();
    let set = fixture.open().unwrap();
    assert_eq!((labels(&set), set.has_labels()), (vec![Some(7), Some(1)], true));
    let options =
        OpenOptions { class_names: set.class_names().map(<[String]>::to_vec), ..Default::default() };
    let names = ShardSet::open(&[names.path("a.tar").to_str().unwrap()], &options).unwrap();
    assert_eq!((labels(&names), set.shares_labels_with(&names)), (vec![Some(1)], true));
}

/// As `pack` numbers the classes of each folder by itself.
#[test]
fn numbers_of_different_lists_are_joined_by_their_names() {
    let (train, val) = (Fixture::new(), Fixture::new());
    let members: [(&str, &[u8]); 4] = [("a.jpg", b"1"), ("a.cls", b"0"), ("b.jpg", b"2"), ("b.cls", b"1")];
    train.members("a.tar", &members);
    val.members("a.tar", &members);
    std::fs::write(train.path("classes.txt"), "ant\nbee\ncat\n").unwrap();
    std::fs::write(val.path("classes.txt"), "bee\ndog\n").unwrap();
    let list = val.path("classes.txt");
    let warning = "1 name is not among the 3 classes of the other list, so numbered behind them (dog)";

    let class_names = train.open().unwrap().class_names().map(<[String]>::to_vec);
    let options = OpenOptions { class_names, ..Default::default() };
    let alone = ShardSet::open(&[val.path("a.tar").to_str().unwrap()], &options).unwrap();
    assert_eq!(labels(&alone), [Some(1), Some(3)]);
    assert_eq!(alone.class_names().unwrap(), ["ant", "bee", "cat", "dog"]);
    assert_eq!(alone.warnings(), [format!("{}: {warning}", list.display())]);

    // In one set, the folder that is first has the first numbers.
    let paths = [train.path("a.tar"), val.path("a.tar")].map(|path| path.to_str().unwrap().to_owned());
    let both = ShardSet::open(&paths, &OpenOptions::default()).unwrap();
    let names = both.class_names().unwrap();
    let named: Vec<_> =
        labels(&both).into_iter().map(|label| names[label.unwrap() as usize].as_str()).collect();
    let mut expected = [["ant", "bee"], ["bee", "dog"]];
    if train.path("") > val.path("") {
        expected.reverse();
    }
    assert_eq!(named, expected.concat());
}
