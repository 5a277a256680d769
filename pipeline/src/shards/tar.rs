//! Reads the members of a tar archive that lies in memory, without copying any of it.
//!
//! Read are ustar with its prefix field, GNU long names and base-256 sizes, and pax headers (`path` and `size`,
//! of the next member and global). Every header's checksum is verified.

use std::borrow::Cow;

use self::header::{Header, Kind};

mod header;
mod pax;

/// Tar's unit: headers are this long, and contents are padded to a multiple of it.
pub(super) const BLOCK: usize = 512;

/// Longest name of a member, in bytes: the systems' longest path. A global pax header gives its name to every member that
/// follows, so that without a limit a small archive would fill the memory with keys.
const MAX_NAME: usize = 4096;

/// One regular file in an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) name: Cow<'a, [u8]>,
    /// Where its contents begin in the archive.
    pub(super) offset: usize,
    pub(super) contents: &'a [u8],
}

/// What is wrong with an archive, and where.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TarError {
    pub(super) offset: usize,
    pub(super) kind: TarErrorKind,
    pub(super) found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TarErrorKind {
    NotTar,
    Truncated,
    Unsupported,
}

/// The regular files of an archive, in order. Ends after the first error.
#[derive(Debug)]
pub(super) struct Members<'a> {
    archive: &'a [u8],
    at: usize,
    /// From the last global pax header.
    global: pax::Overrides<'a>,
}

impl<'a> Members<'a> {
    pub(super) fn new(archive: &'a [u8]) -> Members<'a> {
        Members { archive, at: 0, global: pax::Overrides::default() }
    }

    /// Whether something other than padding lies behind the end of the archive, as in two archives joined by `cat`.
    /// Ask after the last member.
    pub(super) fn data_follows(&self) -> bool {
        self.archive[self.at.min(self.archive.len())..].iter().any(|&byte| byte != 0)
    }

    fn next_member(&mut self) -> Result<Option<Member<'a>>, TarError> {
        let mut local = self.global.clone();
        let mut long_name = None;
        while let Some(header) = self.next_header()? {
            let offset = self.at + BLOCK;
            let size = match (header.kind(), local.size) {
                (Kind::Regular, Some(size)) => size,
                (Kind::Link | Kind::Folder, _) => 0,
                _ => header.size().map_err(|found| not_tar(self.at, found))?,
            };
            let contents = self.contents(&header, offset, size)?;
            match header.kind() {
                Kind::Regular if local.sparse => return Err(self.unsupported("a sparse file")),
                Kind::Regular => {
                    self.skip(contents);
                    let name = local.path.or(long_name).map_or_else(|| header.name(), Cow::Borrowed);
                    if name.len() > MAX_NAME {
                        let found = format!("a name of {} bytes", name.len());
                        return Err(TarError { offset, kind: TarErrorKind::Unsupported, found });
                    }
                    return Ok(Some(Member { name, offset, contents }));
                }
                Kind::GnuSparse => return Err(self.unsupported("a sparse file")),
                Kind::GnuLongName => long_name = Some(header::until_nul(contents)),
                Kind::Pax => local.update(contents).map_err(|found| not_tar(offset, found))?,
                Kind::PaxGlobal => {
                    self.global.update(contents).map_err(|found| not_tar(offset, found))?;
                    local = self.global.clone();
                }
                // What was announced was for this member.
                Kind::Link | Kind::Folder => (local, long_name) = (self.global.clone(), None),
                Kind::Other => {}
            }
            self.skip(contents);
        }
        Ok(None)
    }

    /// The header at the current place; `None` at the end of the archive.
    fn next_header(&mut self) -> Result<Option<Header<'a>>, TarError> {
        loop {
            let rest = &self.archive[self.at..];
            if rest.is_empty() {
                // Some writers leave the closing zeros out; after a whole member that does no harm.
                return if self.at > 0 { Ok(None) } else { Err(not_tar(0, "an empty file".into())) };
            }
            let Some(block) = rest.first_chunk::<BLOCK>() else {
                let found = format!("{} bytes where a header of {BLOCK} bytes belongs", rest.len());
                let kind = if self.at == 0 { TarErrorKind::NotTar } else { TarErrorKind::Truncated };
                return Err(TarError { offset: self.at, kind, found });
            };
            if block.iter().any(|&byte| byte != 0) {
                let gzip = self.at == 0 && block.starts_with(&[0x1f, 0x8b]);
                let describe = |found| if gzip { "gzip-compressed data".to_owned() } else { found };
                return Header::new(block).map(Some).map_err(|found| not_tar(self.at, describe(found)));
            }
            // Two blocks of zeros end an archive; one alone is stepped over, as GNU tar can.
            self.at += BLOCK;
            let next = self.archive[self.at..].first_chunk::<BLOCK>();
            if next.is_none_or(|next| next.iter().all(|&byte| byte == 0)) {
                return Ok(None);
            }
        }
    }

    fn contents(&self, header: &Header<'a>, offset: usize, size: u64) -> Result<&'a [u8], TarError> {
        let available = self.archive.len() - offset;
        let whole = usize::try_from(size)
            .ok()
            .filter(|size| size.checked_next_multiple_of(BLOCK).is_some_and(|padded| padded <= available));
        let size = whole.ok_or_else(|| TarError {
            offset: self.at,
            kind: TarErrorKind::Truncated,
            found: format!(
                "member {:?} of {size} bytes, of which {} are there",
                String::from_utf8_lossy(&header.name()),
                size.min(available as u64)
            ),
        })?;
        Ok(&self.archive[offset..offset + size])
    }

    fn skip(&mut self, contents: &[u8]) {
        self.at += BLOCK + contents.len().next_multiple_of(BLOCK);
    }

    fn unsupported(&self, found: &str) -> TarError {
        TarError { offset: self.at, kind: TarErrorKind::Unsupported, found: found.into() }
    }
}

fn not_tar(offset: usize, found: String) -> TarError {
    TarError { offset, kind: TarErrorKind::NotTar, found }
}

impl<'a> Iterator for Members<'a> {
    type Item = Result<Member<'a>, TarError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = self.next_member().transpose();
        if matches!(next, Some(Err(_))) {
            self.at = self.archive.len();
        }
        next
    }
}

#[cfg(test)]
mod tests;
