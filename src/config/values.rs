//! What a flag takes, and what its error says is allowed.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::num::IntErrorKind;
use std::path::PathBuf;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
use serde::{Deserialize, Serialize};
use simsiam_pipeline::shards::Labels;

/// A whole number from `least` on; a configuration file can hold none that is larger than an `i64`.
pub fn whole<T: TryFrom<i64>>(least: i64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| match text.parse::<i64>() {
        Ok(number) if number >= least => {
            T::try_from(number).map_err(|_| format!("must be a whole number, less than {number}"))
        }
        Ok(_) => Err(format!("must be at least {least}")),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => {
            Err(format!("must be at most {}", i64::MAX))
        }
        Err(_) => Err(format!("must be a whole number, at least {least}")),
    }
}

/// A whole number from `least` to `most`.
pub fn within<T>(least: T, most: T) -> impl Fn(&str) -> Result<T, String> + Clone
where
    T: FromStr + PartialOrd + Display + Copy + Send + Sync + 'static,
{
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("must be a whole number from {least} to {most}"))
    }
}

/// A number, perhaps with a fraction.
pub fn number<T: FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| "must be a number".into())
}

/// A key and a text.
pub fn assignment(text: &str) -> Result<(String, String), String> {
    let (key, text) = text.split_once('=').ok_or("must be KEY=TEXT")?;
    Ok((key.to_owned(), text.to_owned()))
}

/// A number above 0.
pub fn positive<T: FromStr + PartialOrd + Default + Into<f64> + Copy>(text: &str) -> Result<T, String> {
    let number =
        text.parse().ok().filter(|number: &T| *number > T::default() && (*number).into().is_finite());
    number.ok_or_else(|| "must be a number above 0".into())
}

/// A pattern of shards. A run remembers it in files that are UTF-8.
pub fn pattern() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new().try_map(|pattern| {
        pattern.into_string().map_err(|pattern| {
            format!(
                "{pattern:?} is not UTF-8: name its folder, whose shards may have any names, or rename it"
            )
        })
    })
}

/// A folder. A run remembers it in files that are UTF-8.
pub fn folder() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().try_map(|folder| match folder.into_string() {
        Ok(folder) => Ok(PathBuf::from(folder)),
        Err(folder) => Err(format!("{folder:?} is not UTF-8: name another folder, or rename it")),
    })
}

/// Numbers by their keys, written as `lambda=0.005,loss_scale=1`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MethodSettings(pub BTreeMap<String, f64>);

impl FromStr for MethodSettings {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |text: &str| {
            let (key, number) = text.split_once('=')?;
            Some((key.trim().to_owned(), number.trim().parse().ok()?))
        };
        let all: Option<BTreeMap<_, _>> = text.split(',').map(one).collect();
        all.map(Self).ok_or_else(|| "must be KEY=NUMBER, or several with commas between them".into())
    }
}

/// A number of bytes, written as `50GB` or `2GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct ByteSize(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl FromStr for ByteSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let end =
            text.len() - text.trim_start_matches(|digit: char| digit.is_ascii_digit() || digit == '.').len();
        let (number, unit) = (text[..end].parse::<f64>().ok(), text[end..].trim());
        let unit =
            UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, bytes)| *bytes as f64);
        let bytes = number.zip(unit).map(|(number, unit)| number * unit).filter(|bytes| *bytes >= 1.0);
        bytes
            .map(|bytes| Self(bytes as u64))
            .ok_or_else(|| "must be a size such as 500MB, 50GB or 2TiB".into())
    }
}

impl TryFrom<String> for ByteSize {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

/// In the unit that makes it the smallest whole number.
impl From<ByteSize> for String {
    fn from(ByteSize(bytes): ByteSize) -> String {
        let whole = UNITS.iter().filter(|(_, size)| bytes.is_multiple_of(*size));
        let (unit, size) = whole.max_by_key(|(_, size)| *size).unwrap_or(&UNITS[8]);
        format!("{}{unit}", bytes / size)
    }
}

/// Where labels come from. A table's path is made absolute, for a run to find it from any folder.
pub fn labels() -> impl TypedValueParser<Value = Labels> {
    pattern().try_map(|text| match Labels::from(text) {
        Labels::Table(path) => match path.canonicalize() {
            Ok(path) => Ok(Labels::Table(path)),
            Err(error) => Err(format!(
                "{}: {error} (there are also the words `own`, `folders`, `parents` and `none`)",
                path.display()
            )),
        },
        labels => Ok(labels),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_a_unit() {
        let bytes = |text: &str| text.parse::<ByteSize>().map(|ByteSize(bytes)| bytes);
        assert_eq!(
            ["50GB", "1.5 GiB", "700kb", "12B"].map(|text| bytes(text).unwrap()),
            [50_000_000_000, 3 << 29, 700_000, 12]
        );
        for text in ["", "50", "GB", "-1GB", "0MB", "5XB", "1e400GB"] {
            assert_eq!(bytes(text), Err("must be a size such as 500MB, 50GB or 2TiB".into()), "{text}");
        }
        for text in ["50GB", "3GiB", "17B"] {
            assert_eq!(String::from(text.parse::<ByteSize>().unwrap()), text);
        }
    }

    #[test]
    fn numbers_out_of_range_name_the_range() {
        let whole = |text| whole::<u64>(1)(text);
        assert_eq!(whole("9223372036854775807"), Ok(i64::MAX as u64));
        for (text, allowed) in [
            ("0", "must be at least 1"),
            ("-1", "must be at least 1"),
            ("9223372036854775808", "must be at most 9223372036854775807"),
            ("1.5", "must be a whole number, at least 1"),
            ("", "must be a whole number, at least 1"),
        ] {
            assert_eq!(whole(text), Err(allowed.into()), "{text}");
        }
        assert_eq!(within(1, 100)("101"), Err("must be a whole number from 1 to 100".into()));
        assert_eq!(["0", "-3", "inf", "NaN", "x"].map(|text| positive::<f64>(text).is_err()), [true; 5]);
        assert_eq!((positive("0.5"), number("-1e3")), (Ok(0.5f32), Ok(-1e3f64)));
    }
}
