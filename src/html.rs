//! Text that is safe in a page, whatever it is.

use std::fmt;

use serde::Serialize;

/// Text between tags or in a quoted attribute.
pub struct Text<T>(pub T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.to_string().chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                char => fmt::Write::write_char(f, char)?,
            }
        }
        Ok(())
    }
}

/// JSON inside of a `<script>`: nothing in it can end the script or begin a comment.
///
/// # Errors
/// If the value is none that JSON has.
pub fn script_json(value: &impl Serialize) -> serde_json::Result<String> {
    Ok(serde_json::to_string(value)?.replace('<', "\\u003c"))
}

/// The template with each `{{name}}` replaced by its part. Parts are not looked into: what looks like a name there stays.
///
/// # Panics
/// If a name in the template is not closed, or has no part.
pub fn fill(template: &str, parts: &[(&str, &str)]) -> String {
    let mut page =
        String::with_capacity(template.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut pieces = template.split("{{");
    page.extend(pieces.next());
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").expect("each name in the template is closed");
        let part = parts.iter().find(|(known, _)| *known == name);
        page.push_str(part.expect("each name in the template has a part").1);
        page.push_str(rest);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_becomes_text() {
        let text = "</script><b a='1' c=\"2\">&amp; 🦀 שלום";
        let expected = "&lt;/script&gt;&lt;b a=&#39;1&#39; c=&quot;2&quot;&gt;&amp;amp; 🦀 שלום";
        assert_eq!(Text(text).to_string(), expected);
    }

    #[test]
    fn json_cannot_end_its_script_and_is_read_back_the_same() {
        let text = "</script><!-- \" ' 🦀";
        let json = script_json(&text).unwrap();
        assert!(!json.contains('<'), "{json}");
        assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
    }

    #[test]
    fn a_part_that_looks_like_a_name_stays() {
        assert_eq!(fill("a {{one}} {{two}}.", &[("one", "{{two}}"), ("two", "2")]), "a {{two}} 2.");
    }
}
