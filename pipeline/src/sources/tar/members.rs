//! Reads the members of a tar archive in memory without copying.
//!
//! It reads ustar with its prefix field, GNU long names and base-256 sizes, and pax headers (`path` and `size`, of the
//! next member and global). Every header's checksum is verified. An archive that was appended to another, as by `cat`,
//! is also read.

use std::borrow::Cow;

use self::header::{Header, Kind};

mod header;
mod pax;

/// Tar's unit: headers are this long, and contents are padded to a multiple of it.
pub(crate) const BLOCK: usize = 512;

/// Longest name of a member, in bytes: the systems' longest path. A global pax header gives its name to every member that
/// follows, so that without a limit a small archive would fill the memory with keys.
const MAX_NAME: usize = 4096;

/// One regular file in an archive, or a link.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Member<'a> {
    pub(super) name: Cow<'a, [u8]>,
    /// Where its contents begin in the archive.
    pub(super) offset: usize,
    /// Nothing, for a link.
    pub(super) contents: &'a [u8],
    /// A hard or symbolic link, which has no contents of its own.
    pub(super) is_link: bool,
}

/// How an archive ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    /// With blocks of zeros.
    Closed,
    /// After a whole member, without the zeros: some writers leave them out, and some copies stop there.
    Early,
    /// With zeros, and behind them, here, something that is no archive.
    Trailing { offset: usize },
}

/// What is wrong with an archive, and where.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TarError {
    pub(super) offset: usize,
    pub(super) kind: TarErrorKind,
    pub(super) found: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TarErrorKind {
    NotTar,
    Truncated,
    Unsupported,
}

/// The regular files and links of an archive, in order. Ends after the first error.
#[derive(Debug)]
pub(super) struct Members<'a> {
    archive: &'a [u8],
    at: usize,
    /// From the last global pax header.
    global: pax::Overrides<'a>,
    begin: usize,
    ending: Ending,
}

impl<'a> Members<'a> {
    pub(super) fn new(archive: &'a [u8]) -> Members<'a> {
        Members { archive, at: 0, global: pax::Overrides::default(), begin: 0, ending: Ending::Closed }
    }

    /// Where the archive begins that the last member is in: not at 0, if it was joined to the end of another.
    pub(super) fn begin(&self) -> usize {
        self.begin
    }

    /// Ask after the last member.
    pub(super) fn ending(&self) -> Ending {
        self.ending
    }

    fn next_member(&mut self) -> Result<Option<Member<'a>>, TarError> {
        let mut local = self.global.clone();
        let mut long_name = None;
        loop {
            let begin = self.begin;
            let Some(header) = self.next_header()? else { return Ok(None) };
            if self.begin > begin {
                (local, long_name) = (self.global.clone(), None);
            }
            let offset = self.at + BLOCK;
            let size = match (header.kind(), local.size) {
                (Kind::Regular, Some(size)) => size,
                (Kind::Link | Kind::Special | Kind::Folder, _) => 0,
                _ => header.size().map_err(|found| not_tar(self.at, found))?,
            };
            let contents = self.contents(&header, offset, size)?;
            match header.kind() {
                Kind::Regular if local.sparse => return Err(self.unsupported("a sparse file")),
                kind @ (Kind::Regular | Kind::Link) => {
                    self.skip(contents);
                    let name = local.path.or(long_name).map_or_else(|| header.name(), Cow::Borrowed);
                    if name.len() > MAX_NAME {
                        let found = format!("a name of {} bytes", name.len());
                        return Err(TarError { offset, kind: TarErrorKind::Unsupported, found });
                    }
                    return Ok(Some(Member { name, offset, contents, is_link: kind == Kind::Link }));
                }
                Kind::GnuSparse => return Err(self.unsupported("a sparse file")),
                Kind::GnuLongName => long_name = Some(header::until_nul(contents)),
                Kind::Pax => local.update(contents).map_err(|found| not_tar(offset, found))?,
                Kind::PaxGlobal => {
                    self.global.update(contents).map_err(|found| not_tar(offset, found))?;
                    local = self.global.clone();
                }
                // What was announced was for this member.
                Kind::Special | Kind::Folder => (local, long_name) = (self.global.clone(), None),
                Kind::Other => {}
            }
            self.skip(contents);
        }
    }

    /// The header at the current place, or the first of an archive that is joined there; `None` at the end of all.
    fn next_header(&mut self) -> Result<Option<Header<'a>>, TarError> {
        let rest = &self.archive[self.at..];
        if rest.is_empty() {
            if self.at == 0 {
                return Err(not_tar(0, "an empty file".into()));
            }
            self.ending = Ending::Early;
            return Ok(None);
        }
        let Some(block) = rest.first_chunk::<BLOCK>() else {
            let found = format!("{} bytes where a header of {BLOCK} bytes belongs", rest.len());
            let kind = if self.at == 0 { TarErrorKind::NotTar } else { TarErrorKind::Truncated };
            return Err(TarError { offset: self.at, kind, found });
        };
        if is_zero(block) {
            return self.header_behind_zeros();
        }
        Header::new(block).map(Some).map_err(|found| not_tar(self.at, found))
    }

    /// Two blocks of zeros end an archive; one alone is stepped over, as GNU tar can.
    fn header_behind_zeros(&mut self) -> Result<Option<Header<'a>>, TarError> {
        let blocks = self.archive[self.at..].chunks(BLOCK);
        let zeros = blocks.take_while(|block| is_zero(block)).count();
        let offset = (self.at + zeros * BLOCK).min(self.archive.len());
        let rest = &self.archive[offset..];
        match rest.first_chunk().map(Header::new) {
            Some(Ok(header)) => {
                self.at = offset;
                if zeros > 1 {
                    self.begin = offset;
                    self.global = pax::Overrides::default();
                }
                return Ok(Some(header));
            }
            Some(Err(found)) if zeros == 1 => return Err(not_tar(offset, found)),
            _ if !rest.is_empty() => self.ending = Ending::Trailing { offset },
            _ => {}
        }
        Ok(None)
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

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|&byte| byte == 0)
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
