//! A sample's label: from its `.cls` member, otherwise from its `.json`.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde_json::Value;

use super::finding::FindingKind;

/// What a member says of its sample's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Label {
    /// The greatest `u32` stands for "none" in the index, and is never here.
    Number(u32),
    Name(String),
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Label::Number(number) => write!(f, "{number}"),
            Label::Name(name) => write!(f, "{name:?}"),
        }
    }
}

/// Why a member that should have a label gives none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadLabel {
    pub(crate) kind: FindingKind,
    pub(crate) found: String,
}

/// Longest name of a class, in bytes. What is longer is a text about the image.
const MAX_NAME: usize = 256;

/// A decimal number or a name, perhaps with white space around it.
pub(crate) fn in_cls(contents: &[u8]) -> Result<Label, BadLabel> {
    of_text(&readable(without_bom(contents)))
}

/// What stands under `label` or `cls` of an object: a number, or a text that a `.cls` could have. `None` if there is neither; other
/// values are no labels, for many data sets keep other things there: lists, fractions, or two different numbers.
pub(crate) fn in_json(contents: &[u8]) -> Result<Option<Label>, BadLabel> {
    #[derive(Deserialize)]
    struct Labels {
        label: Option<Value>,
        cls: Option<Value>,
    }
    let text = without_constants(without_bom(contents));
    match serde_json::from_slice::<Labels>(&text) {
        Ok(Labels { label, cls }) => agreed([label, cls].into_iter().flatten()),
        // Of the wrong shape: no object, or one that has a key twice.
        Err(error) if error.is_data() && !text.trim_ascii_start().starts_with(b"{") => Ok(None),
        Err(error) if error.is_data() => bad(FindingKind::LabelsDiffer, error),
        Err(error) => bad(FindingKind::NotJson, error),
    }
}

/// The one label that all of these values are.
fn agreed(values: impl Iterator<Item = Value>) -> Result<Option<Label>, BadLabel> {
    let mut first = None;
    for value in values {
        let label = of_value(&value)?;
        match &first {
            Some(before) if *before != label => return bad(FindingKind::LabelsDiffer, "`label` and `cls`"),
            _ => first = Some(label),
        }
    }
    Ok(first)
}

fn of_value(value: &Value) -> Result<Label, BadLabel> {
    match value {
        Value::String(text) => of_text(text),
        Value::Number(number) => of_text(&number.to_string()),
        other => not_a_label(&other.to_string()),
    }
}

fn of_text(text: &str) -> Result<Label, BadLabel> {
    let text = text.trim();
    // As JSON writes a text.
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    if let Ok(number) = text.parse::<f64>() {
        // All that a `u32` can be is exact as an `f64`.
        let fits = number.fract() == 0.0 && (0.0..f64::from(u32::MAX)).contains(&number);
        return if fits { Ok(Label::Number(number as u32)) } else { not_a_label(text) };
    }
    let is_name = !text.is_empty()
        && text.len() <= MAX_NAME
        && !text.starts_with(['[', '{', '<'])
        && !text.contains(char::is_control);
    if is_name { Ok(Label::Name(text.to_owned())) } else { not_a_label(text) }
}

fn not_a_label<T>(text: &str) -> Result<T, BadLabel> {
    const SHOWN: usize = 40;
    let mut found: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    if text.chars().nth(SHOWN).is_some() {
        found.push_str("...");
    }
    bad(FindingKind::NotALabel, if found.is_empty() { "empty" } else { &found })
}

fn bad<T>(kind: FindingKind, found: impl fmt::Display) -> Result<T, BadLabel> {
    Err(BadLabel { kind, found: found.to_string() })
}

fn without_bom(contents: &[u8]) -> &[u8] {
    contents.strip_prefix(b"\xef\xbb\xbf").unwrap_or(contents)
}

/// As text; bytes that are no UTF-8 as `\xe9`, so that names which differ stay different.
fn readable(contents: &[u8]) -> String {
    // A name that is longer is none, however long it is.
    let contents = &contents[..contents.len().min(4 * MAX_NAME)];
    let chunks = contents.utf8_chunks();
    chunks
        .fold(String::new(), |text, chunk| text + chunk.valid() + &chunk.invalid().escape_ascii().to_string())
}

/// JSON without the `NaN`, `Infinity` and `-Infinity` that Python and pandas write for numbers that are missing: they become `null`.
fn without_constants(json: &[u8]) -> Cow<'_, [u8]> {
    const CONSTANTS: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
    let (mut clean, mut copied, mut at, mut in_string) = (Vec::new(), 0, 0, false);
    while at < json.len() {
        match json[at] {
            b'"' => in_string = !in_string,
            b'\\' if in_string => at += 1,
            b'N' | b'I' | b'-' if !in_string => {
                if let Some(constant) = CONSTANTS.iter().find(|constant| json[at..].starts_with(constant)) {
                    clean.extend_from_slice(&json[copied..at]);
                    clean.extend_from_slice(b"null");
                    at += constant.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    if copied == 0 {
        return json.into();
    }
    clean.extend_from_slice(&json[copied..]);
    clean.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(number: u32) -> Option<Label> {
        Some(Label::Number(number))
    }

    fn name(name: &str) -> Option<Label> {
        Some(Label::Name(name.to_owned()))
    }

    #[test]
    fn a_cls_is_a_number_or_a_name() {
        let cases: [(&[u8], Option<Label>); 22] = [
            (b"7", number(7)),
            (b"\"7\"", number(7)),
            (b"\"cat\"", name("cat")),
            (b" 007\r\n", number(7)),
            (b"3.0", number(3)),
            (b"\xef\xbb\xbf7", number(7)),
            (b"4294967294", number(u32::MAX - 1)),
            (b"4294967295", None),
            (b"99999999999", None),
            (b"-1", None),
            (b"1.5", None),
            (b"nan", None),
            (b"", None),
            (b"[0, 1]", None),
            (b"7\n8", None),
            (b"7\0\0\0\0\0\0\0", None),
            (&[b'x'; 300], None),
            (b"cat\n", name("cat")),
            (b"n01440764", name("n01440764")),
            (b"big dog", name("big dog")),
            ("größer".as_bytes(), name("größer")),
            (b"caf\xe9", name("caf\\xe9")),
        ];
        for (contents, label) in cases {
            assert_eq!(in_cls(contents).ok(), label, "{}", contents.escape_ascii());
        }
    }

    #[test]
    fn a_json_has_a_label_where_it_is_one_without_doubt() {
        for (json, label) in [
            (r#"{"label": 7, "caption": "a cat", "width": 30}"#, number(7)),
            (r#"{"cls": 0}"#, number(0)),
            (r#"{"cls": 3, "label": 3}"#, number(3)),
            (r#"{"cls": "3", "label": 3}"#, number(3)),
            (r#"{"cls": null, "label": 3}"#, number(3)),
            (r#"{"label": "7"}"#, number(7)),
            (r#"{"label": 7.0}"#, number(7)),
            (r#"{"label": "cat"}"#, name("cat")),
            (r#"{"a": NaN, "label": 7, "b": [Infinity, -Infinity]}"#, number(7)),
            (r#"{"label": 7, "text": "a \" NaN \\", "b": NaN}"#, number(7)),
            (r#"{"label": "NaN, Infinity"}"#, name("NaN, Infinity")),
            (r#"{"label": NaN, "x": -1}"#, None),
            (r#"{"meta": {"label": 1}}"#, None),
            ("7", None),
            ("[1]", None),
        ] {
            assert_eq!(in_json(json.as_bytes()), Ok(label), "{json}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_json_is_said() {
        use FindingKind::{LabelsDiffer, NotALabel, NotJson};
        for (json, kind, found) in [
            (r#"{"cls": 4, "label": 3}"#, LabelsDiffer, "`label` and `cls`"),
            (r#"{"cls": "cat", "label": 3}"#, LabelsDiffer, "`label` and `cls`"),
            (r#"{"label": 1, "label": 2}"#, LabelsDiffer, "duplicate field `label` at line 1 column 20"),
            (r#"{"label": -1}"#, NotALabel, "-1"),
            (r#"{"label": 1.5}"#, NotALabel, "1.5"),
            (r#"{"label": [1]}"#, NotALabel, "[1]"),
            (r#"{"label": ""}"#, NotALabel, "empty"),
            (r#"{"label": 4294967295}"#, NotALabel, "4294967295"),
            ("not JSON", NotJson, "expected ident at line 1 column 2"),
        ] {
            assert_eq!(in_json(json.as_bytes()), bad(kind, found), "{json}");
        }
    }
}
