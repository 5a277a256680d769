//! A sample's label: a `.cls` member, or failing that what its `.json` says.

use serde::Deserialize;
use serde_json::Value;

/// A decimal number, perhaps with white space around it. The greatest `u32` stands for "none" in the index.
pub(super) fn in_cls(contents: &[u8]) -> Option<u32> {
    let digits = contents.trim_ascii();
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let text = std::str::from_utf8(digits).ok().filter(|_| all_digits)?;
    text.parse().ok().filter(|&label| label != u32::MAX)
}

/// The number under `label` or `cls` of an object. Anything else is no label rather than an error, for many data sets keep
/// other things there: text, lists, fractions, or two different numbers.
pub(super) fn in_json(contents: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Labels {
        label: Option<Value>,
        cls: Option<Value>,
    }
    let Labels { label, cls } = serde_json::from_slice(contents).ok()?;
    let mut found = [label, cls].into_iter().flatten().map(|value| value.as_u64());
    let first = found.next()??;
    let agree = found.all(|other| other == Some(first));
    u32::try_from(first).ok().filter(|&label| agree && label != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_decimal_numbers() {
        let cases: [(&[u8], Option<u32>); 9] = [
            (b"7", Some(7)),
            (b" 007\r\n", Some(7)),
            (b"4294967294", Some(u32::MAX - 1)),
            (b"4294967295", None),
            (b"99999999999", None),
            (b"-1", None),
            (b"+1", None),
            (b"cat", None),
            (b"", None),
        ];
        for (contents, label) in cases {
            assert_eq!(in_cls(contents), label, "{}", contents.escape_ascii());
        }
    }

    #[test]
    fn json_has_a_label_where_it_is_a_number_without_doubt() {
        for (json, label) in [
            (r#"{"label": 7, "caption": "a cat", "width": 30}"#, Some(7)),
            (r#"{"cls": 0}"#, Some(0)),
            (r#"{"cls": 3, "label": 3}"#, Some(3)),
            (r#"{"cls": null, "label": 3}"#, Some(3)),
            (r#"{"cls": 4, "label": 3}"#, None),
            (r#"{"cls": "cat", "label": 3}"#, None),
            (r#"{"label": 1, "label": 2}"#, None),
            (r#"{"label": "7"}"#, None),
            (r#"{"label": -1}"#, None),
            (r#"{"label": 1.5}"#, None),
            (r#"{"label": [1]}"#, None),
            (r#"{"label": 4294967295}"#, None),
            (r#"{"meta": {"label": 1}}"#, None),
            ("7", None),
            ("not JSON", None),
        ] {
            assert_eq!(in_json(json.as_bytes()), label, "{json}");
        }
    }
}
