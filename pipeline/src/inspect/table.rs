//! A report as text.

use std::collections::BTreeMap;
use std::fmt;

use super::Report;
use crate::shards::Subject;

/// Classes that are listed one by one; of more, only the smallest and largest count is shown.
const MOST_CLASSES: usize = 20;
/// Bad samples that are listed; the serialised report has all.
const MOST_BAD: usize = 100;
/// Findings of one kind that are listed; as above.
const MOST_FOUND: usize = 20;
/// Characters of the longest bar.
const BAR: u64 = 40;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "shards    {} ({})", grouped(self.shards), size(self.shard_bytes))?;
        writeln!(f, "samples   {} ({} of images)", grouped(self.samples), size(self.image_bytes))?;
        let formats = self.formats.iter().map(|(format, count)| format!("{format} {}", grouped(*count)));
        writeln!(f, "formats   {}", formats.collect::<Vec<_>>().join(", "))?;
        if let (Some(width), Some(height)) = (self.width, self.height) {
            writeln!(f, "width     {} to {} pixels, median {}", width.min, width.max, width.median)?;
            writeln!(f, "height    {} to {} pixels, median {}", height.min, height.max, height.median)?;
        }
        if self.shorter_side.len() > 1 {
            writeln!(f, "shorter side, pixels")?;
            bars(f, self.shorter_side.iter().map(|(bound, &count)| (format!("<= {bound}"), count)))?;
        }
        self.labels(f)?;
        self.found(f)?;
        self.bad(f)
    }
}

impl Report {
    fn labels(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.labels.is_empty() {
            return writeln!(f, "labels    none");
        }
        let plural = if self.labels.len() == 1 { "" } else { "es" };
        write!(f, "labels    {} class{plural}", grouped(self.labels.len() as u64))?;
        if self.unlabelled > 0 {
            write!(f, ", {} without", grouped(self.unlabelled))?;
        }
        if self.labels.len() <= MOST_CLASSES {
            writeln!(f)?;
            return bars(f, self.labels.iter().map(|(&label, &count)| (self.class(label), count)));
        }
        let (fewest, most) = extremes(&self.labels);
        if fewest.1 == most.1 {
            return writeln!(f, ", each {} times", grouped(most.1));
        }
        let class = |(label, count)| format!("{} ({})", grouped(count), self.class(label));
        writeln!(f, ", {} to {} times", class(fewest), class(most))
    }

    fn class(&self, label: u32) -> String {
        let name = self.class_names.as_ref().and_then(|names| names.get(label as usize));
        name.map_or_else(|| label.to_string(), |name| format!("{label} {name}"))
    }

    /// What is in no sample, by kind.
    fn found(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (subject, title) in [
            (Subject::Image, "unused    images: "),
            (Subject::Label, "unused    labels: "),
            (Subject::Shard, "archives  "),
        ] {
            for found in self.found.iter().filter(|found| found.kind.subject() == subject) {
                write!(f, "{title}{} {}", grouped(found.count), found.description)?;
                if let Some(advice) = found.advice {
                    write!(f, "\n  ({advice})")?;
                }
                list(f, found.count, found.list.iter().take(MOST_FOUND))?;
                writeln!(f)?;
            }
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "note      {note}"))
    }

    fn bad(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let looked_at = if self.verified { "every image was decoded" } else { "only headers were read" };
        let count = self.bad.len() as u64;
        write!(f, "bad       {} ({looked_at})", grouped(count))?;
        let bad = self.bad.iter().take(MOST_BAD);
        list(f, count, bad.map(|bad| format!("{}: {}", bad.at, bad.cause)))?;
        if !self.broken_shards.is_empty() {
            write!(
                f,
                "\nbroken    {} (shards that cannot be opened)",
                grouped(self.broken_shards.len() as u64)
            )?;
        }
        self.broken_shards.iter().try_for_each(|shard| write!(f, "\n  {shard}"))
    }
}

/// Some of `count` things, one a line, and how many more there are.
fn list(
    f: &mut fmt::Formatter<'_>,
    count: u64,
    lines: impl Iterator<Item = impl fmt::Display>,
) -> fmt::Result {
    let mut shown = 0;
    for line in lines {
        write!(f, "\n  {line}")?;
        shown += 1;
    }
    if count > shown {
        write!(f, "\n  and {} more, which --json lists", grouped(count - shown))
    } else {
        Ok(())
    }
}

/// A line with a bar for each count, the longest for the greatest.
fn bars(f: &mut fmt::Formatter<'_>, rows: impl Iterator<Item = (String, u64)>) -> fmt::Result {
    let rows: Vec<_> = rows.map(|(name, count)| (name, count, grouped(count))).collect();
    let names = rows.iter().map(|(name, ..)| name.chars().count()).max().unwrap_or(0);
    let counts = rows.iter().map(|(.., text)| text.len()).max().unwrap_or(0);
    let most = rows.iter().map(|&(_, count, _)| count).max().unwrap_or(1).max(1);
    for (name, count, text) in rows {
        let bar = "#".repeat((count * BAR).div_ceil(most) as usize);
        writeln!(f, "  {name:names$}  {text:>counts$}  {bar}")?;
    }
    Ok(())
}

/// The labels with the fewest and the most samples.
fn extremes(labels: &BTreeMap<u32, u64>) -> ((u32, u64), (u32, u64)) {
    let by_count = |a: &(u32, u64), b: &(u32, u64)| a.1.cmp(&b.1).then(b.0.cmp(&a.0));
    let all = || labels.iter().map(|(&label, &count)| (label, count));
    (all().min_by_key(|&(_, count)| count).unwrap_or_default(), all().max_by(by_count).unwrap_or_default())
}

/// `1281167` as `1,281,167`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    let units = ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1024.0 {
        value /= 1024.0;
        unit += 1;
    }
    let decimals = usize::from(unit > 0);
    format!("{value:.decimals$} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inspect::{Found, Spread, UnusableSample};
    use crate::shards::{Finding, FindingKind, Location};

    #[test]
    fn numbers_are_readable() {
        assert_eq!([0, 999, 1_000, 1_281_167].map(grouped), ["0", "999", "1,000", "1,281,167"]);
        assert_eq!([0, 1023, 1536, 5 << 30].map(size), ["0 bytes", "1023 bytes", "1.5 KiB", "5.0 GiB"]);
    }

    #[test]
    fn a_report_is_a_compact_table() {
        let at = Location {
            shard: std::path::Path::new("train-003.tar").into(),
            sample: 1042,
            offset: 512,
            key: "n0144".into(),
        };
        let kind = FindingKind::SecondImage;
        let finding = Finding {
            kind,
            shard: std::path::Path::new("train-003.tar").into(),
            member: "x.png".into(),
            offset: 512,
            found: "the sample has \"x.jpg\"".into(),
        };
        let found = Found {
            kind,
            description: kind.to_string(),
            advice: kind.advice(),
            count: 1_001,
            list: vec![finding],
        };
        let report = Report {
            shards: 2,
            samples: 2_501,
            shard_bytes: 3 << 20,
            image_bytes: 2 << 20,
            formats: BTreeMap::from([("JPEG".to_owned(), 2_400), ("PNG".to_owned(), 100)]),
            width: Some(Spread { min: 32, median: 500, max: 4000 }),
            height: Some(Spread { min: 30, median: 375, max: 3000 }),
            shorter_side: BTreeMap::from([(32, 500), (512, 2_000)]),
            unlabelled: 1,
            labels: BTreeMap::from([(0, 1_500), (1, 1_000)]),
            class_names: Some(vec!["cat".into()]),
            verified: true,
            found: vec![found],
            notes: vec!["classes.txt: not UTF-8".into()],
            bad: vec![UnusableSample { sample: 2_042, at, cause: "empty file".into() }],
            broken_shards: vec!["b.tar: not a tar archive".into()],
        };
        let expected = r##"shards    2 (3.0 MiB)
samples   2,501 (2.0 MiB of images)
formats   JPEG 2,400, PNG 100
width     32 to 4000 pixels, median 500
height    30 to 3000 pixels, median 375
shorter side, pixels
  <= 32     500  ##########
  <= 512  2,000  ########################################
labels    2 classes, 1 without
  0 cat  1,500  ########################################
  1      1,000  ###########################
unused    images: 1,001 under the key of another image
  (a sample has one image)
  shard train-003.tar, member "x.png" (the sample has "x.jpg")
  and 1,000 more, which --json lists
note      classes.txt: not UTF-8
bad       1 (every image was decoded)
  shard train-003.tar, sample 1042 "n0144": empty file
broken    1 (shards that cannot be opened)
  b.tar: not a tar archive"##;
        assert_eq!(report.to_string(), expected);
    }
}
