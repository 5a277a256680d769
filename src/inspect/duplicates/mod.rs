//! Images that are nearly the same, within a set and between training and validation, by an encoder's features.
//!
//! - [`origin`]: where features come from; [`search`]: the pairs with similar ones; [`pixels`]: a second opinion on these.
//! - [`mod@groups`]: what hangs together by pairs; [`report`]: what was found, as a table and as JSON; [`sheet`]: as a picture.

pub mod groups;
pub mod origin;
pub mod pixels;
pub mod report;
pub mod search;
pub mod sheet;

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use rayon::prelude::*;
use simsiam_pipeline::ShardSet;
use simsiam_pipeline::decode::Decoder;

use self::groups::groups;
use self::origin::ImageSet;
use self::pixels::{Likeness, Thumbnail};
use self::report::{Duplicate, Pairs, Report};
use self::search::{Found, Pair, between, within};
use crate::console::{Console, Unit};
use crate::data::{Place, decoded};
use crate::error::InputError;
use crate::interrupt::Interrupt;

/// Finds the pairs whose features have at least a similarity of `threshold` and whose pixels agree: of a validation and a
/// training image, of two training images, and of two validation images.
///
/// # Errors
/// If the features of the two sets cannot be compared, or the user asked to stop.
pub fn find(
    own: &ImageSet,
    val: Option<&ImageSet>,
    threshold: f32,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<Report> {
    if let Some(val) = val.filter(|val| val.features().dim != own.features().dim) {
        let text = format!(
            "the features of the validation shards have {} values and the others' {}: they are not of one encoder",
            val.features().dim,
            own.features().dim
        );
        return Err(InputError::new(text).into());
    }
    let pairs_within = |set: &ImageSet, name: &str| {
        let images = set.samples.len() as u64;
        let phase = console.phase(name, images * (images - 1) / 2, Unit::Things("pairs"));
        let found = within(set.features(), threshold, &phase, interrupt)?;
        drop(phase);
        judged(found, set, set, console, interrupt)
    };
    let leaks = val.map(|val| {
        let comparisons = (val.samples.len() * own.samples.len()) as u64;
        let phase = console.phase("leaks: comparing", comparisons, Unit::Things("pairs"));
        let found = between(val.features(), own.features(), threshold, &phase, interrupt)?;
        drop(phase);
        judged(found, val, own, console, interrupt)
    });
    Ok(Report {
        threshold,
        leaks: leaks.transpose()?,
        train: pairs_within(own, "train: comparing")?,
        val: val.map(|val| pairs_within(val, "val: comparing")).transpose()?,
    })
}

/// An image of a comparison: which of its two sets it is in, and the sample's number there.
type Image = (usize, u64);

/// Looks at the pixels of pairs with similar features.
fn judged(
    found: Found,
    rows: &ImageSet,
    columns: &ImageSet,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<Pairs> {
    let sets = [&*rows.source.shards, &*columns.source.shards];
    let is_one_set = std::ptr::eq(rows, columns);
    let images = |pair: &Pair| -> [Image; 2] {
        [(0, rows.samples[pair.row]), (usize::from(!is_one_set), columns.samples[pair.column])]
    };
    let thumbnails = thumbnails(sets, found.pairs.iter().flat_map(images).collect(), console, interrupt)?;
    let duplicates = found.pairs.par_iter().filter_map(|pair| {
        let [one, other] = images(pair);
        // Only what has changed on the disk since its features were made is missing.
        let Likeness { correlation, mirrored } = thumbnails.get(&one)?.likeness(thumbnails.get(&other)?);
        (correlation >= pixels::LEAST_CORRELATION).then(|| Duplicate {
            similarity: pair.similarity,
            correlation,
            mirrored,
            same_file: !mirrored && same_bytes(sets, one, other),
            images: [one, other].map(|(set, sample)| Place::of(sets[set], sample)),
        })
    });
    let mut duplicates: Vec<Duplicate> = duplicates.collect();
    duplicates.sort_by(|a, b| b.same_file.cmp(&a.same_file).then(b.sureness().total_cmp(&a.sureness())));
    let numbers = duplicates.iter().map(|pair| (pair.images[0].sample, pair.images[1].sample));
    let (paired, groups) = if is_one_set {
        let groups = groups(numbers);
        (groups.iter().map(Vec::len).sum(), groups)
    } else {
        (numbers.map(|(one, _)| one).collect::<BTreeSet<_>>().len(), Vec::new())
    };
    Ok(Pairs {
        images: rows.samples.len() as u64,
        paired: paired as u64,
        similar: found.count,
        compared: found.pairs.len() as u64,
        groups,
        pairs: duplicates,
    })
}

/// What images look like.
fn thumbnails(
    sets: [&ShardSet; 2],
    images: BTreeSet<Image>,
    console: &Console,
    interrupt: &Interrupt,
) -> Result<BTreeMap<Image, Thumbnail>> {
    let phase = console.phase("looking at pixels", images.len() as u64, Unit::Things("images"));
    let images: Vec<Image> = images.into_iter().collect();
    let made = images.into_par_iter().map_init(Decoder::default, |decoder, (set, sample)| {
        interrupt.check()?;
        phase.inc(1);
        Ok(decoded(sets[set], sample, decoder).map(|image| ((set, sample), Thumbnail::new(&image))))
    });
    made.filter_map(Result::transpose).collect()
}

fn same_bytes(sets: [&ShardSet; 2], one: Image, other: Image) -> bool {
    let read = |(set, sample): Image| sets[set].read(sample);
    matches!((read(one), read(other)), (Ok(one), Ok(other)) if one.bytes == other.bytes)
}
