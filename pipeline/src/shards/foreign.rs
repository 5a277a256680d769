//! Recognises files that are not tars by their first bytes.

use std::path::Path;

/// What the bytes are, where they leave no doubt.
pub(crate) fn name(bytes: &[u8]) -> Option<&'static str> {
    kind(bytes).map(|(_, name, _)| *name)
}

/// What the file is, and what makes a shard of it.
pub(crate) fn advice(path: &Path, bytes: &[u8]) -> Option<(&'static str, String)> {
    let (_, name, remedy) = kind(bytes)?;
    let advice = match remedy {
        Remedy::Decompress(program) => decompress_by(program, path),
        Remedy::Extract(program) => {
            let path = path.display();
            format!(
                "`{program} {path}` in a new folder, and `simsiam pack` of that folder, make shards of it"
            )
        }
        Remedy::Fetch => "`git lfs pull` fetches the file itself".to_owned(),
        Remedy::Load => "download it again".to_owned(),
        Remedy::Write => "write its images as files, and name their folder".to_owned(),
        Remedy::Folder => "name the folder that it lies in".to_owned(),
    };
    Some((name, advice))
}

/// What makes a shard of a compressed tar, by its name.
pub(crate) fn decompress(path: &Path) -> String {
    let programs = [("zst", "zstd"), ("bz2", "bzip2"), ("xz", "xz"), ("lz4", "lz4")];
    let has_end =
        |(end, _): &&(&str, _)| path.extension().is_some_and(|found| found.eq_ignore_ascii_case(end));
    let program = programs.iter().find(has_end).map_or("gzip", |(_, program)| program);
    decompress_by(program, path)
}

fn decompress_by(program: &str, path: &Path) -> String {
    let path = path.display().to_string();
    format!("`{program} -dc < {path} > {}` makes a shard of it", plain(&path))
}

#[derive(Debug, Clone, Copy)]
enum Remedy {
    Decompress(&'static str),
    Extract(&'static str),
    Fetch,
    Load,
    Folder,
    Write,
}

type Kind = (&'static [u8], &'static str, Remedy);

const KINDS: [Kind; 14] = [
    (b"\x1f\x8b", "gzip-compressed", Remedy::Decompress("gzip")),
    (b"\x28\xb5\x2f\xfd", "Zstandard-compressed", Remedy::Decompress("zstd")),
    (b"BZh", "bzip2-compressed", Remedy::Decompress("bzip2")),
    (b"\xfd7zXZ\0", "xz-compressed", Remedy::Decompress("xz")),
    (b"\x04\x22\x4d\x18", "LZ4-compressed", Remedy::Decompress("lz4")),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", Remedy::Extract("7z x")),
    (b"Rar!\x1a\x07", "a RAR archive", Remedy::Extract("unrar x")),
    (b"version https://git-lfs", "a Git LFS pointer", Remedy::Fetch),
    (b"<!DOCTYPE html", "an HTML page", Remedy::Load),
    (b"<html", "an HTML page", Remedy::Load),
    (b"<?xml", "an XML text", Remedy::Load),
    (b"\xff\xd8\xff", "a JPEG image", Remedy::Folder),
    (b"\x89PNG\r\n", "a PNG image", Remedy::Folder),
    (b"\x89HDF\r\n", "an HDF5 file", Remedy::Write),
];

/// White space may stand before a text, and letters of either case be in it.
fn kind(bytes: &[u8]) -> Option<&'static Kind> {
    let bytes = bytes.trim_ascii_start();
    KINDS
        .iter()
        .find(|(magic, ..)| bytes.get(..magic.len()).is_some_and(|start| start.eq_ignore_ascii_case(magic)))
}

/// The name of the decompressed file: `a.tar` for `a.tar.gz` and `a.tgz`, and another than that of the file in any case.
fn plain(path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    if stem.ends_with(".tar") {
        return stem.to_owned();
    }
    if path.ends_with(".tar") { format!("{stem}-plain.tar") } else { format!("{stem}.tar") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_and_the_command_are_named() {
        let advice = |path: &str, bytes: &[u8]| {
            advice(Path::new(path), bytes).map(|(name, advice)| format!("{name}: {advice}"))
        };
        let gzip = |to| Some(format!("gzip-compressed: `gzip -dc < {to}` makes a shard of it"));
        assert_eq!(advice("d/a.tar.gz", b"\x1f\x8b\x08"), gzip("d/a.tar.gz > d/a.tar"));
        assert_eq!(advice("a.tgz", b"\x1f\x8b\x08"), gzip("a.tgz > a.tar"));
        assert_eq!(advice("a.tar", b"\x1f\x8b\x08"), gzip("a.tar > a-plain.tar"));
        assert!(
            advice("a.tar", b"7z\xbc\xaf\x27\x1c").unwrap().starts_with("a 7z archive: `7z x a.tar` in a")
        );
        let page = advice("a.tar", b"\r\n<HTML><body>404");
        assert_eq!(page.as_deref(), Some("an HTML page: download it again"));
        assert_eq!(advice("a.tar", b"GIF89a"), None);
    }
}
