//! The contents of a pax header: records `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record.

/// What pax records say about a member in place of its header.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Overrides<'a> {
    pub(super) path: Option<&'a [u8]>,
    pub(super) size: Option<u64>,
    /// A sparse file in one of GNU's pax formats.
    pub(super) sparse: bool,
}

impl<'a> Overrides<'a> {
    /// Takes the records over; an empty value takes back what stood there.
    pub(super) fn update(&mut self, mut records: &'a [u8]) -> Result<(), String> {
        while !records.is_empty() {
            let (key, value, rest) = split_record(records).ok_or("bad pax record")?;
            match key {
                b"path" => self.path = Some(value).filter(|value| !value.is_empty()),
                b"size" if value.is_empty() => self.size = None,
                b"size" => self.size = Some(decimal(value).ok_or("bad size in pax header")?),
                _ if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
            records = rest;
        }
        Ok(())
    }
}

type Record<'a> = (&'a [u8], &'a [u8], &'a [u8]);

/// Key, value, and what follows the first record.
fn split_record(records: &[u8]) -> Option<Record<'_>> {
    let space = records.iter().position(|&byte| byte == b' ')?;
    let length = usize::try_from(decimal(&records[..space])?).ok()?;
    let (record, rest) = records.split_at_checked(length)?;
    let text = record.get(space + 1..)?.strip_suffix(b"\n")?;
    let equals = text.iter().position(|&byte| byte == b'=')?;
    Some((&text[..equals], &text[equals + 1..], rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    std::str::from_utf8(digits).ok().filter(|text| !text.starts_with('+'))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_override_and_take_back() {
        let mut overrides = Overrides::default();
        overrides.update(b"13 path=a=b\n\n10 size=7\n20 mtime=1.25000000\n").unwrap();
        assert_eq!((overrides.path, overrides.size), (Some(&b"a=b\n"[..]), Some(7)));
        overrides.update(b"8 path=\n").unwrap();
        assert_eq!((overrides.path, overrides.size), (None, Some(7)));
    }

    #[test]
    fn broken_records_are_errors() {
        for records in
            [&b"x"[..], b"0 ", b"99 path=a\n", b"9 path=ab\n", b"8 path=a", b"6 path\n", b"11 size=1x\n"]
        {
            assert!(Overrides::default().update(records).is_err(), "{}", records.escape_ascii());
        }
    }
}
