//! Consecutive members with the same key: finds the image and label of their sample.

use std::collections::BTreeSet;
use std::mem;

use super::Keyed;
use crate::shards::FindingKind;
use crate::shards::index::{FindingsBuilder, IndexBuilder, StoredLabel, TooManyNames};
use crate::shards::label::{self, BadLabel, Label};
use crate::shards::name;
use crate::sources::tar::members::Member;

/// Members of one sample.
#[derive(Debug)]
pub(super) struct Group<'a> {
    key: Vec<u8>,
    /// A set, because nothing bounds how many members a key has.
    extensions: BTreeSet<Vec<u8>>,
    image: Option<Image<'a>>,
    further_images: Vec<Image<'a>>,
    cls: Vec<LabelMember<'a>>,
    json: Vec<LabelMember<'a>>,
}

/// What a group comes to.
#[derive(Debug)]
pub(super) struct Settled<'a> {
    pub(super) key: Vec<u8>,
    pub(super) image: Option<Member<'a>>,
    pub(super) label: Option<FoundLabel>,
}

/// A label, and where it stands.
#[derive(Debug)]
pub(super) struct FoundLabel {
    pub(super) label: Label,
    pub(super) member: Vec<u8>,
    pub(super) offset: usize,
}

#[derive(Debug)]
struct Image<'a> {
    extension: Vec<u8>,
    claim: Claim,
    member: Member<'a>,
}

/// What makes a member its sample's image, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// `jpg`.
    Extension,
    /// `left.jpg`.
    QualifiedExtension,
    /// Any other, of a file that is an image.
    Contents,
}

#[derive(Debug)]
struct LabelMember<'a> {
    /// `left` of `left.cls`.
    qualifier: Vec<u8>,
    label: Result<Label, BadLabel>,
    member: Member<'a>,
}

impl<'a> Group<'a> {
    pub(super) fn new(key: &[u8]) -> Group<'a> {
        Group {
            key: key.to_owned(),
            extensions: BTreeSet::new(),
            image: None,
            further_images: Vec::new(),
            cls: Vec::new(),
            json: Vec::new(),
        }
    }

    /// Whether a member belongs to this sample rather than to one of the same key that follows it.
    pub(super) fn takes(&self, keyed: &Keyed<'_>) -> bool {
        self.key == keyed.key && !self.extensions.contains(&keyed.extension)
    }

    pub(super) fn push(&mut self, Keyed { extension, member, .. }: Keyed<'a>) {
        self.extensions.insert(extension.clone());
        let (qualifier, kind) = split_extension(&extension);
        let contents = member.contents;
        if kind.eq_ignore_ascii_case(b"cls") {
            let label = label::in_cls(contents);
            self.cls.push(LabelMember { qualifier: qualifier.to_owned(), label, member });
        } else if kind.eq_ignore_ascii_case(b"json") {
            let label = label::in_json(contents).transpose();
            let label = label.map(|label| LabelMember { qualifier: qualifier.to_owned(), label, member });
            self.json.extend(label);
        } else if let Some(claim) = Claim::of(&extension, contents) {
            let mut image = Image { extension, claim, member };
            match &mut self.image {
                Some(best) => {
                    if image.claim < best.claim {
                        mem::swap(best, &mut image);
                    }
                    self.further_images.push(image);
                }
                None => self.image = Some(image),
            }
        }
    }

    /// Image and label; what is neither is noted.
    pub(super) fn finish(self, findings: &mut FindingsBuilder) -> Settled<'a> {
        let Group { key, image, further_images, cls, mut json, .. } = self;
        for Image { extension, member, .. } in further_images {
            let is_dotted = extension.contains(&b'.');
            let kind = if is_dotted { FindingKind::DottedName } else { FindingKind::SecondImage };
            let used = image.iter().map(|image| String::from_utf8_lossy(&image.member.name));
            let found: String = used.map(|used| format!("the sample has {used:?}")).collect();
            findings.push(kind, &member.name, member.offset, &found);
        }
        if image.is_none() {
            // It may be about anything.
            json.retain(|json| !matches!(&json.label, Err(bad) if bad.kind == FindingKind::NotJson));
        }
        let qualifier = image.as_ref().map_or(&b""[..], |image| split_extension(&image.extension).0);
        let label = if cls.is_empty() {
            settle_labels(json, qualifier, findings)
        } else {
            let label = settle_labels(cls, qualifier, findings);
            json.retain(|json| label.as_ref().is_some_and(|chosen| json.contradicts(&chosen.label)));
            json.iter().for_each(|json| json.note(findings));
            label
        };
        Settled { key, image: image.map(|image| image.member), label }
    }
}

impl Claim {
    fn of(extension: &[u8], contents: &[u8]) -> Option<Claim> {
        match name::is_image(extension) {
            true if extension.contains(&b'.') => Some(Claim::QualifiedExtension),
            true => Some(Claim::Extension),
            false => name::holds_image(contents).then_some(Claim::Contents),
        }
    }
}

/// The label that is without a qualifier, or has the image's, or that all agree on; the others are noted if they differ.
fn settle_labels(
    mut labels: Vec<LabelMember<'_>>,
    qualifier: &[u8],
    findings: &mut FindingsBuilder,
) -> Option<FoundLabel> {
    let with = |qualifier: &[u8]| labels.iter().position(|label| label.qualifier == qualifier);
    let agreed = || labels.windows(2).all(|pair| pair[0].label == pair[1].label).then_some(0);
    let Some(chosen) = with(b"").or_else(|| with(qualifier)).or_else(agreed).filter(|_| !labels.is_empty())
    else {
        labels.iter().for_each(|label| label.note(findings));
        return None;
    };
    let chosen = labels.remove(chosen);
    match chosen.label {
        Ok(label) => {
            labels.iter().filter(|other| other.contradicts(&label)).for_each(|other| other.note(findings));
            Some(FoundLabel { label, member: chosen.member.name.into_owned(), offset: chosen.member.offset })
        }
        Err(_) => {
            chosen.note(findings);
            None
        }
    }
}

impl LabelMember<'_> {
    /// Whether it says another class. A name beside a number does not.
    fn contradicts(&self, label: &Label) -> bool {
        match (&self.label, label) {
            (Ok(Label::Number(one)), Label::Number(other)) => one != other,
            (Ok(Label::Name(one)), Label::Name(other)) => one != other,
            _ => false,
        }
    }

    fn note(&self, findings: &mut FindingsBuilder) {
        let Member { name, offset, .. } = &self.member;
        match &self.label {
            Ok(label) => findings.push(FindingKind::LabelsDiffer, name, *offset, &label.to_string()),
            Err(BadLabel { kind, found }) => findings.push(*kind, name, *offset, found),
        }
    }
}

impl FoundLabel {
    /// As the index keeps it; what it cannot keep is noted.
    pub(super) fn store(&self, index: &mut IndexBuilder) -> Option<StoredLabel> {
        let stored = index.store(&self.label);
        if let Err(TooManyNames) = stored {
            self.note(FindingKind::TooManyNames, &mut index.findings);
        }
        stored.ok()
    }

    pub(super) fn note(&self, kind: FindingKind, findings: &mut FindingsBuilder) {
        findings.push(kind, &self.member, self.offset, &self.label.to_string());
    }
}

/// What stands before the last dot, and behind it.
fn split_extension(extension: &[u8]) -> (&[u8], &[u8]) {
    match extension.iter().rposition(|&byte| byte == b'.') {
        Some(dot) => (&extension[..dot], &extension[dot + 1..]),
        None => (&[], extension),
    }
}
