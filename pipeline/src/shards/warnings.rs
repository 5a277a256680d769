//! Warnings about the findings in a set, one line per subject.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::finding::{Finding, FindingKind, Subject};
use super::foreign;
use super::shard::Shard;

/// One line for images and labels each, and for each odd end of archives, where there is something to say.
pub(super) fn of_findings(shards: &[Shard]) -> Vec<String> {
    let mut totals: BTreeMap<FindingKind, (u64, Option<Finding<'_>>)> = BTreeMap::new();
    for shard in shards {
        for (kind, count) in shard.finding_counts() {
            let (total, first) = totals.entry(kind).or_default();
            *total += count;
            if first.is_none() {
                *first = shard.findings().find(|finding| finding.kind == kind);
            }
        }
    }
    let causes = |subject| {
        let kinds = totals.iter().filter(move |(kind, _)| kind.subject() == subject);
        kinds.map(|(&kind, (count, first))| (kind, *count, first.as_ref()))
    };
    let unused = |(subject, noun)| {
        let total = causes(subject).map(|(_, count, _)| count).sum::<u64>();
        let list: Vec<_> =
            causes(subject).map(|(kind, count, first)| format!("{count} {}", cause(kind, first))).collect();
        (total > 0).then(|| format!("{} not used: {}; {LISTED}", are(total, noun), list.join("; ")))
    };
    let ended = |(kind, count, first)| {
        let plural = if count == 1 { "" } else { "s" };
        format!("{count} shard{plural} {}; {LISTED}", cause(kind, first))
    };
    let unused = [(Subject::Image, "image"), (Subject::Label, "label")].into_iter().filter_map(unused);
    // Archives that are read as if they were one are nothing to warn of.
    let ends = causes(Subject::Shard).filter(|(kind, ..)| *kind != FindingKind::Joined).map(ended);
    unused.chain(ends).collect()
}

/// A line for compressed tars, where there are any.
pub(super) fn of_compressed(compressed: &[PathBuf]) -> Option<String> {
    let first = compressed.first()?;
    let tars = are(compressed.len() as u64, "compressed tar");
    let advice = foreign::decompress(first);
    Some(format!("{tars} not used (first: {}): they cannot be mapped; {advice}", first.display()))
}

/// A line for images that lie beside shards, where there are any.
pub(super) fn of_images_beside(images: &[PathBuf]) -> Option<String> {
    let first = images.first()?;
    Some(format!(
        "images beside the shards are not used (first: {}): a folder is read for its shards or for its images",
        first.display()
    ))
}

/// `1 image is` or `2 images are`.
pub(super) fn are(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun} is") } else { format!("{count} {noun}s are") }
}

/// The first of some names, and that there are more.
pub(super) fn some_of<T: AsRef<str>>(names: &[T]) -> String {
    const MOST_SHOWN: usize = 10;
    let mut shown: Vec<&str> = names.iter().take(MOST_SHOWN).map(T::as_ref).collect();
    if names.len() > MOST_SHOWN {
        shown.push("...");
    }
    shown.join(", ")
}

const LISTED: &str = "`simsiam inspect` lists all";

/// `under the key of another image (first: shard a.tar, member "x.png"; a sample has one image)`.
fn cause(kind: FindingKind, first: Option<&Finding<'_>>) -> String {
    let first = first.map(|first| format!("first: {first}"));
    let aside: Vec<_> = first.into_iter().chain(kind.advice().map(str::to_owned)).collect();
    if aside.is_empty() { kind.to_string() } else { format!("{kind} ({})", aside.join("; ")) }
}
