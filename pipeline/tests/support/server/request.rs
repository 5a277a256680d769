//! What a client asks for.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::ops::Range;

/// A request without a body.
pub(super) struct Request {
    pub(super) method: String,
    /// Decoded, without the query.
    pub(super) path: String,
    pub(super) query: BTreeMap<String, String>,
    pub(super) headers: BTreeMap<String, String>,
}

impl Request {
    /// The next request of a connection, `None` at its end.
    pub(super) fn read(reader: &mut impl BufRead) -> io::Result<Option<Request>> {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let mut words = line.split_whitespace();
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
        let mut request = Request {
            method: method.to_owned(),
            path: decoded(path),
            query: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(),
            headers: BTreeMap::new(),
        };
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            let Some((name, value)) = line.trim_end().split_once(':') else { return Ok(Some(request)) };
            request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }

    /// The bytes that are asked for, if it is not all.
    pub(super) fn range(&self) -> Option<Range<usize>> {
        let (first, last) = self.headers.get("range")?.strip_prefix("bytes=")?.split_once('-')?;
        Some(first.parse().ok()?..last.parse::<usize>().ok()? + 1)
    }

    /// For the log.
    pub(super) fn line(&self) -> String {
        let range = self.range().map(|range| format!(" {}-{}", range.start, range.end - 1));
        format!("{} {}{}", self.method, self.path, range.unwrap_or_default())
    }
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let code = || u8::from_str_radix(std::str::from_utf8(after.get(..2)?).ok()?, 16).ok();
        match (first, code()) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap()
}
