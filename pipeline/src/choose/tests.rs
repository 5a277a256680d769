use std::borrow::Cow;
use std::collections::BTreeSet;

use super::*;

/// Samples with keys and labels, and names of classes.
struct Listing {
    samples: Vec<(String, Option<u32>)>,
    names: Option<Vec<String>>,
}

impl Catalog for Listing {
    fn samples(&self) -> u64 {
        self.samples.len() as u64
    }

    fn label(&self, sample: u64) -> Option<u32> {
        self.samples[sample as usize].1
    }

    fn class_names(&self) -> Option<&[String]> {
        self.names.as_deref()
    }

    fn key(&self, sample: u64) -> Cow<'_, str> {
        self.samples[sample as usize].0.as_str().into()
    }
}

/// Twelve samples: cats, dogs and sports cars by turns, and two without a label.
fn pets() -> Listing {
    let samples = (0..12).map(|i| {
        let label = (i < 10).then_some(i % 3);
        (format!("{}/n{i:02}", if i % 2 == 0 { "even" } else { "odd" }), label)
    });
    let names = ["cat", "dog", "sports car", "owl"].map(str::to_owned);
    Listing { samples: samples.collect(), names: Some(names.into()) }
}

/// Classes of so many samples each.
fn classes(sizes: &[u64]) -> Listing {
    let sizes = (0..).zip(sizes);
    let samples =
        sizes.flat_map(|(label, &size)| (0..size).map(move |i| (format!("{label}/{i}"), Some(label))));
    Listing { samples: samples.collect(), names: None }
}

fn choose(choice: &Choice, catalog: &Listing) -> Result<Vec<u64>, String> {
    match choice.of(catalog) {
        Ok(Some(Chosen { samples, .. })) => Ok((0..samples.len()).map(|i| samples.get(i)).collect()),
        Ok(None) => panic!("{choice:?} is no choice"),
        Err(error) => Err(error.to_string()),
    }
}

fn select(select: &str, catalog: &Listing) -> Result<Vec<u64>, String> {
    choose(&Choice { select: Some(select.to_owned()), ..Choice::default() }, catalog)
}

#[test]
fn conditions_hold_for_what_they_say() {
    let pets = pets();
    let (cats, dogs, cars) = ([0, 3, 6, 9], [1, 4, 7], [2, 5, 8]);
    let but = |not: &[u64]| -> Vec<u64> { (0..12).filter(|sample| !not.contains(sample)).collect() };
    let even: Vec<u64> = (0..12).step_by(2).collect();
    let cases: [(&str, Vec<u64>); 20] = [
        ("label = 0", cats.into()),
        ("label==cat", cats.into()),
        ("LABEL In [ 1 ]", dogs.into()),
        ("label in [dog, 'sports car']", but(&[0, 3, 6, 9, 10, 11])),
        ("label != cat", but(&cats)),
        ("label!=0", but(&cats)),
        ("label not in [0, \"sports car\"]", [&dogs[..], &[10, 11]].concat()),
        ("key like 'even/*'", even.clone()),
        ("key like even/*", even.clone()),
        ("key like '*n0[01]'", vec![0, 1]),
        ("key like ????/n0?", vec![0, 2, 4, 6, 8]),
        ("key not like even/*", but(&even)),
        ("not key like even/*", but(&even)),
        ("label = 0 and key like 'even*'", vec![0, 6]),
        ("label = 0 or label = 1 and key like 'even*'", vec![0, 3, 4, 6, 9]),
        ("(label = 0 or label = 1) and key like 'even*'", vec![0, 4, 6]),
        ("label = 0 and key like 'even*' or label = 1", vec![0, 1, 4, 6, 7]),
        ("not label = 0 and key like 'even*'", vec![2, 4, 8, 10]),
        ("not (label = 0 and key like 'even*')", but(&[0, 6])),
        ("not not label = 'sports car'", cars.into()),
    ];
    for (text, expected) in cases {
        assert_eq!(select(text, &pets), Ok(expected), "{text}");
    }
}

#[test]
fn a_list_has_keys_with_or_without_extensions() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("my keys.txt");
    let list = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let choice = Choice { select: Some(format!("key in '{}'", path.display())), ..Choice::default() };
        choice.of(&pets()).map(|chosen| chosen.unwrap())
    };
    let numbers = |text| {
        let Chosen { samples, .. } = list(text).unwrap();
        Vec::from_iter((0..samples.len()).map(|i| samples.get(i)))
    };
    assert_eq!(numbers("even/n00\nodd/n03.jpg\r\n\n  even/n04.left.png \nodd/n03.jpg"), [0, 3, 4]);
    assert_eq!(numbers("\u{feff}even/n00.jpg\neven/n00.json\n"), [0]);
    let expected =
        format!("select: 1 of the 2 keys in {} matches no image (first: \"odd/n00\")", path.display());
    assert_eq!(list("even/n00\nodd/n00\n").unwrap().warnings, [expected]);
    assert!(list("even/n00.jpg\neven/n00.json\n").unwrap().warnings.is_empty());
    let error = list("n00\n").unwrap_err().to_string();
    let expected = format!("select: no key is in {}; keys are \"even/n00\", \"odd/n01\",", path.display());
    assert!(error.starts_with(&expected), "{error}");
    std::fs::remove_file(&path).unwrap();
    let missing = select(&format!("key in {}/no-list", dir.path().display()), &pets()).unwrap_err();
    assert!(
        missing.starts_with("select: cannot read the keys in ") && missing.contains("no-list"),
        "{missing}"
    );
}

#[test]
fn a_line_of_a_list_is_the_key_that_it_is_most_like() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("keys.txt");
    let chosen = |text: &str, keys: &[&str]| {
        std::fs::write(&path, text).unwrap();
        let samples = keys.iter().map(|key| ((*key).to_owned(), None)).collect();
        select(&format!("key in '{}'", path.display()), &Listing { samples, names: None })
    };
    assert_eq!(chosen("a.b.jpg\n", &["a", "a.b", "a.b.jpg"]), Ok(vec![2]), "the key itself");
    assert_eq!(chosen("a.b.jpg\n", &["a", "a.b", "b"]), Ok(vec![1]), "a file of a folder");
    assert_eq!(chosen("a.b.jpg\n", &["a", "b"]), Ok(vec![0]), "a member of a tar");
    assert_eq!(chosen("a.b\n", &["a.b", "a"]), Ok(vec![0]));
}

#[test]
fn mistakes_are_named_with_their_place() {
    for (text, expected) in [
        ("", "label, key, not or ( at character 1, found the end of the text"),
        ("label", "=, !=, in or not in at character 6, found the end of the text"),
        ("label is 3", "=, !=, in or not in at character 7, found \"is\""),
        ("label not = 3", "in at character 11, found ="),
        ("label in 3", "a list such as [3, cat] at character 10, found \"3\""),
        ("label in []", "a label's number or the name of a class at character 11, found ]"),
        ("label in [1 2]", ", or ] at character 13, found \"2\""),
        ("label = 3 label = 4", "and, or, or the end at character 11, found \"label\""),
        ("(label = 3", "and, or, or ) at character 11, found the end of the text"),
        ("label = 3)", "and, or, or the end at character 10, found )"),
        ("größe = 3", "label, key, not or ( at character 1, found \"größe\""),
        ("label = 'größe' x", "and, or, or the end at character 17, found \"x\""),
        ("label = 99999999999", "a label's number, below 4294967296 at character 9, found \"99999999999\""),
        ("key = 3", "like, in, not like or not in at character 5, found ="),
        ("key not 3", "like or in at character 9, found \"3\""),
        ("key like", "a pattern at character 9, found the end of the text"),
        ("key in [a]", "a file that lists keys at character 8, found ["),
        ("key like 'a", "a closing quote for the one at character 10, found the end of the text"),
    ] {
        assert_eq!(select(text, &pets()).unwrap_err(), format!("select: expected {expected}"), "{text}");
    }
    let deep = select(&format!("{}label = 3", "(".repeat(100_000)), &pets()).unwrap_err();
    assert!(deep.starts_with("select: expected at most 100 conditions inside each other at character 101"));
    let pattern = select("key like 'a[b'", &pets()).unwrap_err();
    assert_eq!(pattern, "select: the pattern \"a[b\": invalid range pattern at its character 2");
}

#[test]
fn what_nobody_has_is_refused_with_what_there_is() {
    let there = "there are 0 \"cat\", 1 \"dog\", 2 \"sports car\"";
    for class in ["9", "\"bird\"", "3", "\"owl\""] {
        let expected = format!("select: no sample is of the class {class}; {there}");
        assert_eq!(select(&format!("label != {class}"), &pets()).unwrap_err(), expected);
    }
    let numbers = classes(&[1; 12]);
    let expected = "select: no sample is of the class 12; there are 0, 1, 2, 3, 4, 5, 6, 7, ... (12 in all)";
    assert_eq!(select("label = 12", &numbers).unwrap_err(), expected);
    let unlabelled = Listing { samples: vec![("a".into(), None)], names: None };
    let expected = "select: no sample is of the class 0; there are no labels";
    assert_eq!(select("label = 0", &unlabelled).unwrap_err(), expected);
    let pattern = select("label = cat and key like 'n01*'", &pets()).unwrap_err();
    assert!(pattern.starts_with("select: no key is like \"n01*\"; keys are \"even/n00\", \"odd/n01\", "));
    assert!(pattern.ends_with(", ... (12 in all)"), "{pattern}");
    let none = select("label = cat and label = dog", &pets()).unwrap_err();
    assert_eq!(none, "select: none of the 12 samples satisfies \"label = cat and label = dog\"");
}

fn share(fraction: Option<f64>, limit: Option<u64>, catalog: &Listing) -> BTreeSet<u64> {
    let chosen = choose(&Choice { fraction, limit, select: None }, catalog).unwrap();
    let set: BTreeSet<u64> = chosen.iter().copied().collect();
    assert!(chosen.into_iter().eq(set.iter().copied()), "in order, each once");
    set
}

fn by_class(samples: &BTreeSet<u64>, catalog: &Listing) -> BTreeMap<u32, u64> {
    labels(samples.iter().copied(), catalog)
}

#[test]
fn a_fraction_is_of_each_class_and_a_part_of_a_larger_one() {
    let sizes = [1, 2, 50, 100, 101, 1000];
    let catalog = classes(&sizes);
    let mut smaller = BTreeSet::new();
    for (fraction, counts) in [
        (1e-9, [1, 1, 1, 1, 1, 1]),
        (0.01, [1, 1, 1, 1, 2, 10]),
        (0.07, [1, 1, 4, 7, 8, 70]),
        (0.1, [1, 1, 5, 10, 11, 100]),
        (0.5, [1, 1, 25, 50, 51, 500]),
        (1.0, sizes),
    ] {
        let chosen = share(Some(fraction), None, &catalog);
        assert!(by_class(&chosen, &catalog).values().eq(&counts), "{fraction}");
        assert!(chosen.is_superset(&smaller));
        smaller = chosen;
    }
}

#[test]
fn a_limit_is_balanced_and_a_part_of_a_larger_one() {
    for sizes in
        [&[5000, 5000, 5000][..], &[1, 2, 50, 100, 101, 1000], &[1; 40], &[7], &[3, 1000, 1, 1, 1, 1]]
    {
        let catalog = classes(sizes);
        let all: u64 = sizes.iter().sum();
        let mut smaller = BTreeSet::new();
        for limit in (1..70).chain([99, 100, 1000, 1253, 20_000]) {
            let chosen = share(None, Some(limit), &catalog);
            assert_eq!(chosen.len() as u64, limit.min(all));
            assert!(chosen.is_superset(&smaller), "{sizes:?}, {limit}");
            let counts = by_class(&chosen, &catalog);
            for (class, size) in sizes.iter().enumerate() {
                let (count, fair) =
                    (counts.get(&(class as u32)).copied().unwrap_or(0), size * limit.min(all));
                assert!((fair / all..=fair.div_ceil(all)).contains(&count), "{sizes:?}, {limit}: {counts:?}");
            }
            smaller = chosen;
        }
    }
}

#[test]
fn shares_are_drawn_by_keys_wherever_the_samples_are() {
    let catalog = classes(&[30, 50]);
    let mut turned = classes(&[30, 50]);
    turned.samples.rotate_left(37);
    for (fraction, limit) in [(Some(0.2), None), (None, Some(17)), (Some(0.5), Some(9))] {
        let keys = |catalog: &Listing| -> BTreeSet<String> {
            share(fraction, limit, catalog)
                .into_iter()
                .map(|sample| catalog.key(sample).into_owned())
                .collect()
        };
        assert_eq!(keys(&catalog), keys(&turned));
    }
    // The draw never changes, for results with a tenth of the labels are compared over years.
    assert_eq!(Vec::from_iter(share(None, Some(6), &catalog)), [6, 29, 38, 39, 49, 60]);
}

#[test]
fn samples_without_a_label_are_a_class() {
    let chosen = share(Some(0.01), None, &pets());
    let labels: BTreeSet<Option<u32>> = chosen.iter().map(|&sample| pets().label(sample)).collect();
    assert_eq!(labels, BTreeSet::from([None, Some(0), Some(1), Some(2)]));
}

#[test]
fn a_choice_says_what_it_chose() {
    let summary =
        |choice: Choice, catalog: &Listing| choice.of(catalog).unwrap().map(|chosen| chosen.summary);
    assert_eq!(summary(Choice::default(), &pets()), None);
    let tenth = Choice { fraction: Some(0.1), ..Choice::default() };
    let thousands = classes(&[500; 10]);
    let expected = "500 of 5,000 samples (fraction 0.1), all 10 classes";
    assert_eq!(summary(tenth, &thousands).as_deref(), Some(expected));
    let two = Choice { select: Some("label in [0, cat]".into()), limit: Some(2), fraction: Some(0.6) };
    let expected = "2 of 12 samples (select \"label in [0, cat]\", fraction 0.6, limit 2), 1 of 3 classes";
    assert_eq!(summary(two, &pets()).as_deref(), Some(expected));
    let unlabelled = Listing { samples: vec![("a".into(), None), ("b".into(), None)], names: None };
    let one = Choice { limit: Some(1), ..Choice::default() };
    assert_eq!(summary(one, &unlabelled).as_deref(), Some("1 of 2 samples (limit 1)"));
}

#[test]
fn shares_out_of_range_are_refused() {
    for fraction in [0.0, -0.1, 1.01, f64::NAN] {
        let choice = Choice { fraction: Some(fraction), ..Choice::default() };
        let expected = format!("fraction {fraction}: must be above 0, at most 1");
        assert_eq!(choice.validate().unwrap_err().to_string(), expected);
    }
    let none = Choice { limit: Some(0), ..Choice::default() };
    assert_eq!(none.validate().unwrap_err().to_string(), "limit 0: must be at least 1");
}

#[test]
fn lists_of_keys_are_renamed_wherever_they_stand() {
    let renamed = |select: &str| {
        let choice = Choice { select: Some(select.into()), ..Choice::default() };
        let renamed = choice.with_lists(|path| Path::new("/here").join(path));
        renamed.map(|choice| choice.select.unwrap())
    };
    for (typed, expected) in [
        ("key in a.txt", "key in '/here/a.txt'"),
        (
            "label in [key, in] and (Key NOT in \"b c.txt\" or key in \"it's\")",
            "label in [key, in] and (Key NOT in '/here/b c.txt' or key in \"/here/it's\")",
        ),
        (
            "label = é or key in 'ü.txt' and key like 'in x'",
            "label = é or key in '/here/ü.txt' and key like 'in x'",
        ),
        ("key in /there/a.txt or label = in", "key in /there/a.txt or label = in"),
    ] {
        assert_eq!(renamed(typed).unwrap(), expected);
    }
}
