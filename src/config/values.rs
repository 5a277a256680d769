//! What a flag takes, and what its error says is allowed.

use std::fmt::Display;
use std::num::IntErrorKind;
use std::str::FromStr;

use clap::builder::{OsStringValueParser, TypedValueParser};
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
