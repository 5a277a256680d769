//! Evaluates conditions on samples.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fs;
use std::path::PathBuf;

use glob::Pattern;

use super::{Catalog, ChoiceError, labels, parse};
use crate::shards::name;

/// Tests, joined.
#[derive(Debug, PartialEq)]
pub(super) enum Condition<T> {
    Test(T),
    Not(Box<Self>),
    /// `and`
    All(Vec<Self>),
    /// `or`
    Any(Vec<Self>),
}

/// A test as it is written.
#[derive(Debug, PartialEq)]
pub(super) enum Test {
    Label(Vec<Class>),
    Like(Pattern),
    Listed(PathBuf),
}

/// A class as it is written.
#[derive(Debug, PartialEq)]
pub(super) enum Class {
    Number(u32),
    Name(String),
}

/// A test that can be made.
enum Matcher {
    Label(HashSet<u32>),
    Like { pattern: Pattern, matched: bool },
    Listed(KeyList),
}

/// The keys that a file lists.
struct KeyList {
    path: PathBuf,
    keys: HashSet<String>,
    /// Lines that are no sample's key.
    unmatched: Vec<String>,
}

/// The samples that a condition holds for, in order. Notes what a user should know besides.
pub(super) fn selected(
    select: &str,
    catalog: &impl Catalog,
    warnings: &mut Vec<String>,
) -> Result<Vec<u64>, ChoiceError> {
    let labels = labels(0..catalog.samples(), catalog);
    let mut condition = parse::condition(select)?.try_map(&mut |test| match test {
        Test::Label(classes) => {
            let labels = classes.iter().map(|class| class.label(&labels, catalog.class_names()));
            labels.collect::<Result<_, _>>().map(Matcher::Label)
        }
        Test::Like(pattern) => Ok(Matcher::Like { pattern, matched: false }),
        Test::Listed(path) => KeyList::read(path, catalog).map(Matcher::Listed),
    })?;
    let selected: Vec<u64> = (0..catalog.samples())
        .filter(|&sample| {
            let (label, key) = (catalog.label(sample), catalog.key(sample));
            condition.holds(&mut |matcher| matcher.holds(label, &key))
        })
        .collect();
    condition.for_each(&mut |matcher| matcher.check(catalog, warnings))?;
    if selected.is_empty() {
        return Err(ChoiceError::NoSample { select: select.to_owned(), samples: catalog.samples() });
    }
    Ok(selected)
}

impl<T> Condition<T> {
    /// Its opposite, if `not`.
    pub(super) fn unless(self, not: bool) -> Self {
        if not { Self::Not(Box::new(self)) } else { self }
    }

    fn try_map<U, E>(self, map: &mut impl FnMut(T) -> Result<U, E>) -> Result<Condition<U>, E> {
        let mut each = |parts: Vec<Self>| -> Result<Vec<_>, E> {
            parts.into_iter().map(|part| part.try_map(map)).collect()
        };
        Ok(match self {
            Self::All(parts) => Condition::All(each(parts)?),
            Self::Any(parts) => Condition::Any(each(parts)?),
            Self::Not(part) => Condition::Not(Box::new(part.try_map(map)?)),
            Self::Test(test) => Condition::Test(map(test)?),
        })
    }

    fn for_each<E>(&self, act: &mut impl FnMut(&T) -> Result<(), E>) -> Result<(), E> {
        match self {
            Self::Test(test) => act(test),
            Self::Not(part) => part.for_each(act),
            Self::All(parts) | Self::Any(parts) => parts.iter().try_for_each(|part| part.for_each(act)),
        }
    }

    /// Makes every test, even where one has settled it: so each is known to match something or nothing.
    fn holds(&mut self, test: &mut impl FnMut(&mut T) -> bool) -> bool {
        match self {
            Self::Test(own) => test(own),
            Self::Not(part) => !part.holds(test),
            Self::All(parts) => parts.iter_mut().fold(true, |all, part| part.holds(test) & all),
            Self::Any(parts) => parts.iter_mut().fold(false, |any, part| part.holds(test) | any),
        }
    }
}

impl Matcher {
    fn holds(&mut self, label: Option<u32>, key: &str) -> bool {
        match self {
            Self::Label(labels) => label.is_some_and(|label| labels.contains(&label)),
            Self::Like { pattern, matched } => {
                let holds = pattern.matches(key);
                *matched |= holds;
                holds
            }
            Self::Listed(list) => list.keys.contains(key),
        }
    }

    /// Whether it matched anything, once all samples were asked.
    fn check(&self, catalog: &impl Catalog, warnings: &mut Vec<String>) -> Result<(), ChoiceError> {
        let nothing = |what| Err(ChoiceError::NoSuchKey { what, there: first_keys(catalog) });
        match self {
            Self::Like { pattern, matched: false } => nothing(format!("like {:?}", pattern.as_str())),
            Self::Listed(KeyList { path, keys, .. }) if keys.is_empty() => {
                nothing(format!("in {}", path.display()))
            }
            Self::Listed(KeyList { path, keys, unmatched }) => {
                if let [first, ..] = &unmatched[..] {
                    let count = unmatched.len();
                    warnings.push(format!(
                        "select: {count} of the {} keys in {} {} no image (first: {first:?})",
                        keys.len() + count,
                        path.display(),
                        if count == 1 { "matches" } else { "match" }
                    ));
                }
                Ok(())
            }
            Self::Label(_) | Self::Like { matched: true, .. } => Ok(()),
        }
    }
}

impl Class {
    /// The label of a class that has samples.
    fn label(&self, labels: &BTreeMap<u32, u64>, names: Option<&[String]>) -> Result<u32, ChoiceError> {
        let names = names.unwrap_or_default();
        let label = match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => names.iter().position(|own| own.trim() == name.trim()).map(|at| at as u32),
        };
        label.filter(|label| labels.contains_key(label)).ok_or_else(|| {
            let class = match self {
                Self::Number(number) => number.to_string(),
                Self::Name(name) => format!("{name:?}"),
            };
            ChoiceError::NoSuchClass { class, there: first_classes(labels, names) }
        })
    }
}

impl KeyList {
    /// Each line is the key that it is, or else the one without an image's extension, or else the one before the first dot, as in
    /// a tar's members.
    fn read(path: PathBuf, catalog: &impl Catalog) -> Result<Self, ChoiceError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(source) => return Err(ChoiceError::List { path, source }),
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let lines: BTreeSet<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        let meant = |line| [line, without_images_extension(line), before_first_dot(line)];
        let possible: HashSet<&str> = lines.iter().flat_map(|&line| meant(line)).collect();
        let there: HashSet<&str> = (0..catalog.samples())
            .filter_map(|sample| possible.get(&*catalog.key(sample)).copied())
            .collect();
        let (mut keys, mut unmatched) = (HashSet::new(), Vec::new());
        for line in lines {
            match meant(line).into_iter().find(|key| there.contains(key)) {
                Some(key) => drop(keys.insert(key.to_owned())),
                None => unmatched.push(line.to_owned()),
            }
        }
        Ok(Self { path, keys, unmatched })
    }
}

fn without_images_extension(name: &str) -> &str {
    let (stem, extension) = name::without_extension(name.as_bytes());
    if name::is_image(extension) { &name[..stem.len()] } else { name }
}

fn before_first_dot(name: &str) -> &str {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[base..].find('.') {
        Some(dot) if dot > 0 => &name[..base + dot],
        _ => name,
    }
}

/// How many names an error lists.
const MOST_LISTED: usize = 8;

fn first_classes(labels: &BTreeMap<u32, u64>, names: &[String]) -> String {
    if labels.is_empty() {
        return "no labels".to_owned();
    }
    let class = |label: &u32| match names.get(*label as usize) {
        Some(name) => format!("{label} {name:?}"),
        None => label.to_string(),
    };
    listed(labels.keys().take(MOST_LISTED).map(class), labels.len())
}

fn first_keys(catalog: &impl Catalog) -> String {
    let samples = catalog.samples();
    let first = 0..samples.min(MOST_LISTED as u64);
    listed(first.map(|sample| format!("{:?}", catalog.key(sample))), samples as usize)
}

fn listed(first: impl Iterator<Item = String>, all: usize) -> String {
    let more = (all > MOST_LISTED).then(|| format!("... ({all} in all)"));
    first.chain(more).collect::<Vec<_>>().join(", ")
}
