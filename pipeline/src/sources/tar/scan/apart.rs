//! Labels that are not next to their images, for example if all images come first and then all labels.

use std::collections::HashMap;
use std::mem;

use super::group::FoundLabel;
use crate::shards::FindingKind;
use crate::shards::index::{IndexBuilder, StoredLabel};
use crate::shards::label::Label;

/// Labels in groups without an image, until it is known whose they are.
#[derive(Debug, Default)]
pub(super) struct Apart {
    pub(super) labels: Vec<ApartLabel>,
    /// The first sample of the archive that is read, where several are joined.
    first_sample: usize,
}

#[derive(Debug)]
pub(super) struct ApartLabel {
    key: String,
    found: FoundLabel,
    /// Why it has no sample so far.
    why: FindingKind,
}

/// The labels and the samples of one key.
struct SameKey {
    label: Label,
    /// Whether all labels of the key are this one.
    is_agreed: bool,
    samples: usize,
    last: usize,
    own_label: Option<StoredLabel>,
}

impl ApartLabel {
    pub(super) fn new(key: &str, found: FoundLabel) -> ApartLabel {
        ApartLabel { key: key.to_owned(), found, why: FindingKind::NoImage }
    }
}

impl Apart {
    /// Gives each label to the sample of its key, where the archive that was read has exactly one; the others stay.
    pub(super) fn join(&mut self, index: &mut IndexBuilder) {
        let first = mem::replace(&mut self.first_sample, index.samples() as usize);
        self.join_from(first, index);
    }

    /// After the last archive: looks through all of them, and notes the labels that stay without a sample.
    pub(super) fn finish(&mut self, index: &mut IndexBuilder) {
        let is_joined = self.first_sample > 0;
        self.join(index);
        if is_joined {
            self.join_from(0, index);
        }
        self.labels.drain(..).for_each(|label| label.found.note(label.why, &mut index.findings));
    }

    fn join_from(&mut self, first: usize, index: &mut IndexBuilder) {
        let mut by_key: HashMap<String, SameKey> = HashMap::new();
        for ApartLabel { key, found, .. } in &self.labels {
            let label = found.label.clone();
            let same = SameKey { label, is_agreed: true, samples: 0, last: 0, own_label: None };
            let same = by_key.entry(key.clone()).or_insert(same);
            same.is_agreed &= same.label == found.label;
        }
        if by_key.is_empty() {
            return;
        }
        for (position, key, own_label) in index.samples_from(first) {
            let key = std::str::from_utf8(key).unwrap_or_default();
            if let Some(same) = by_key.get_mut(key) {
                (same.samples, same.last, same.own_label) = (same.samples + 1, position, own_label);
            }
        }
        for mut label in mem::take(&mut self.labels) {
            let same = &by_key[&label.key];
            label.why = match same.samples {
                0 => FindingKind::NoImage,
                1 if !same.is_agreed => FindingKind::LabelsDiffer,
                1 => {
                    let Some(stored) = label.found.store(index) else { continue };
                    let own = *same.own_label.as_ref().unwrap_or(&stored);
                    if own == stored {
                        index.set_label(same.last, Some(stored));
                        continue;
                    }
                    FindingKind::LabelsDiffer
                }
                _ => FindingKind::ManyImages,
            };
            self.labels.push(label);
        }
    }
}
