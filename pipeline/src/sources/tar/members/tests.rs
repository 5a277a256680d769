//! The `tar` crate is the oracle.

use std::io::Read;

use ::tar::{Builder, EntryType, Header};

use super::*;

type Listed = Vec<(Vec<u8>, u64, Vec<u8>)>;

/// Files without links.
fn ours(archive: &[u8]) -> Result<Listed, TarError> {
    let list = |member: Member<'_>| (member.name.to_vec(), member.offset as u64, member.contents.to_vec());
    let members = Members::new(archive).filter(|member| !member.as_ref().is_ok_and(|member| member.is_link));
    members.map(|member| member.map(list)).collect()
}

fn oracle(archive: &[u8]) -> Listed {
    let mut listed = Vec::new();
    for entry in ::tar::Archive::new(archive).entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            listed.push((entry.path_bytes().into_owned(), entry.raw_file_position(), contents));
        }
    }
    listed
}

fn add(builder: &mut Builder<Vec<u8>>, mut header: Header, name: &str, contents: &[u8]) {
    header.set_size(contents.len() as u64);
    builder.append_data(&mut header, name, contents).unwrap();
}

/// One member of each kind, in an order that mixes them.
fn archive_of_all_kinds() -> Vec<u8> {
    let mut builder = Builder::new(Vec::new());
    let long = format!("{}/{}.jpg", "d".repeat(120), "n".repeat(150));
    let prefixed = format!("{}/{}.jpg", "d".repeat(120), "n".repeat(60));
    add(&mut builder, Header::new_ustar(), "plain.jpg", b"plain");
    add(&mut builder, Header::new_ustar(), &prefixed, &[1; 512]);
    add(&mut builder, Header::new_gnu(), &long, &[2; 1000]);
    add(&mut builder, Header::new_old(), "v7.jpg", &[3; 511]);
    add(&mut builder, Header::new_ustar(), "empty.jpg", b"");
    let mut folder = Header::new_gnu();
    folder.set_entry_type(EntryType::Directory);
    folder.set_size(0);
    builder.append_data(&mut folder, "folder/", &[][..]).unwrap();
    let mut link = Header::new_gnu();
    link.set_entry_type(EntryType::Symlink);
    link.set_size(0);
    builder.append_link(&mut link, "link.jpg", "n".repeat(150)).unwrap();
    builder.append_pax_extensions([("path", long.as_bytes()), ("mtime", b"1.5")]).unwrap();
    add(&mut builder, Header::new_ustar(), "short.jpg", b"named by pax");
    add(&mut builder, Header::new_ustar(), "last.jpg", &[4; 513]);
    builder.into_inner().unwrap()
}

#[test]
fn lists_what_the_tar_crate_lists() {
    let archive = archive_of_all_kinds();
    let listed = ours(&archive).unwrap();
    assert_eq!(listed.len(), 7);
    assert_eq!(listed, oracle(&archive));
    let links =
        Members::new(&archive).filter_map(|member| Some(member.unwrap()).filter(|member| member.is_link));
    assert_eq!(links.map(|link| link.name.into_owned()).collect::<Vec<_>>(), [b"link.jpg"]);
}

#[test]
fn base_256_sizes_are_read() {
    let mut builder = Builder::new(Vec::new());
    let mut header = Header::new_gnu();
    header.set_path("big.jpg").unwrap();
    header.set_size(3);
    let mut size = [0; 12];
    size[0] = 0x80;
    size[11] = 3;
    header.as_gnu_mut().unwrap().size = size;
    header.set_cksum();
    builder.append(&header, &b"abc"[..]).unwrap();
    let archive = builder.into_inner().unwrap();
    assert_eq!(ours(&archive).unwrap(), [(b"big.jpg".to_vec(), 512, b"abc".to_vec())]);
}

#[test]
fn pax_sizes_replace_the_headers() {
    let mut builder = Builder::new(Vec::new());
    builder.append_pax_extensions([("size", &b"600"[..])]).unwrap();
    // As writers do for more than 8 GiB: the header's own size is 0.
    let mut header = Header::new_ustar();
    header.set_path("a.jpg").unwrap();
    header.set_size(0);
    header.set_cksum();
    let mut archive = builder.into_inner().unwrap();
    archive.truncate(1024);
    archive.extend_from_slice(header.as_bytes());
    archive.extend_from_slice(&[9; 600]);
    archive.resize(1024 + 512 + 1024 + 1024, 0);
    assert_eq!(ours(&archive).unwrap(), [(b"a.jpg".to_vec(), 1536, vec![9; 600])]);
}

#[test]
fn global_pax_headers_hold_until_the_next() {
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XGlobalHeader);
    let mut builder = Builder::new(Vec::new());
    add(&mut builder, header, "pax_global_header", b"10 size=3\n");
    let mut archive = builder.into_inner().unwrap();
    archive.truncate(1024);
    for name in ["a.jpg", "b.jpg"] {
        let mut header = Header::new_ustar();
        header.set_path(name).unwrap();
        header.set_size(0);
        header.set_cksum();
        archive.extend_from_slice(header.as_bytes());
        archive.extend_from_slice(b"abc");
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    let names: Vec<_> =
        ours(&archive).unwrap().into_iter().map(|(name, _, contents)| (name, contents)).collect();
    assert_eq!(names, [(b"a.jpg".to_vec(), b"abc".to_vec()), (b"b.jpg".to_vec(), b"abc".to_vec())]);
}

#[test]
fn errors_say_what_was_found_where() {
    let error = |archive: &[u8]| {
        let TarError { offset, kind, found } = ours(archive).unwrap_err();
        (kind, offset, found)
    };
    use TarErrorKind::{NotTar, Truncated, Unsupported};
    let checksum = "bad header checksum".to_owned();
    assert_eq!(error(&[0xff; 2000]), (NotTar, 0, checksum.clone()));
    assert_eq!(error(b""), (NotTar, 0, "an empty file".into()));
    assert_eq!(error(b"short"), (NotTar, 0, "5 bytes where a header of 512 bytes belongs".into()));

    let archive = archive_of_all_kinds();
    let mut broken = archive.clone();
    broken[1024] ^= 1;
    assert_eq!(error(&broken), (NotTar, 1024, checksum));
    let found = r#"member "plain.jpg" of 5 bytes, of which 5 are there"#.to_owned();
    assert_eq!(error(&archive[..517]), (Truncated, 0, found));

    let mut sparse = Header::new_gnu();
    sparse.set_entry_type(EntryType::GNUSparse);
    sparse.set_path("a.jpg").unwrap();
    sparse.set_size(0);
    sparse.set_cksum();
    assert_eq!(error(sparse.as_bytes()), (Unsupported, 0, "a sparse file".into()));
}

#[test]
fn an_archive_cut_anywhere_never_panics_nor_invents_members() {
    let archive = archive_of_all_kinds();
    let whole = ours(&archive).unwrap();
    let (_, offset, contents) = whole.last().unwrap();
    let last_boundary = *offset as usize + contents.len().next_multiple_of(512);
    for length in 0..archive.len() {
        match ours(&archive[..length]) {
            Ok(listed) => {
                assert_eq!(listed, whole[..listed.len()], "cut at {length}");
                assert!(length % 512 == 0 || length > last_boundary, "cut at {length}");
            }
            Err(error) => assert!(error.offset <= length, "cut at {length}: {error:?}"),
        }
    }
}

#[test]
fn flipped_bytes_never_panic() {
    let archive = archive_of_all_kinds();
    for at in 0..archive.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut broken = archive.clone();
            broken[at] ^= flip;
            // What is checked is that it returns; contents are not part of any checksum here.
            let _ = ours(&broken);
        }
    }
}

#[test]
fn one_block_of_zeros_does_not_end_an_archive_and_two_do() {
    let archive = archive_of_all_kinds();
    let whole = ours(&archive).unwrap();
    let body = &archive[..archive.len() - 1024];
    assert_eq!(ours(body).unwrap(), whole, "no zeros at all");
    assert_eq!(ours(&[body, &[0; 512]].concat()).unwrap(), whole, "one block at the end");

    let lone = [body, &[0; 512], body].concat();
    assert_eq!(ours(&lone).unwrap().len(), 2 * whole.len());
}

#[test]
fn archives_that_are_joined_are_read_on() {
    let archive = archive_of_all_kinds();
    let whole = ours(&archive).unwrap().len();
    for zeros in [0, 512, 8_192] {
        let joined = [&archive[..], &vec![0; zeros], &archive, &archive].concat();
        let mut members = Members::new(&joined);
        assert_eq!(members.by_ref().filter(|member| !member.as_ref().unwrap().is_link).count(), 3 * whole);
        assert_eq!((members.begin(), members.ending()), (2 * archive.len() + zeros, Ending::Closed));
    }
    // A global header ends with its archive.
    let mut header = Header::new_ustar();
    header.set_entry_type(EntryType::XGlobalHeader);
    let mut builder = Builder::new(Vec::new());
    add(&mut builder, header, "pax_global_header", b"14 path=g.jpg\n");
    let first = builder.into_inner().unwrap();
    let names: Vec<_> =
        ours(&[&first[..], &archive].concat()).unwrap().into_iter().map(|(name, ..)| name).collect();
    assert_eq!((&names[0][..], names.len()), (&b"plain.jpg"[..], whole));
}

#[test]
fn how_an_archive_ends_is_told() {
    let archive = archive_of_all_kinds();
    let ending = |archive: &[u8]| {
        let mut members = Members::new(archive);
        members.by_ref().for_each(|member| drop(member.unwrap()));
        members.ending()
    };
    let (body, end) = (&archive[..archive.len() - 1024], archive.len());
    assert_eq!(ending(&archive), Ending::Closed);
    assert_eq!(ending(&[body, &[0; 512]].concat()), Ending::Closed);
    assert_eq!(ending(&[&archive[..], &[0; 9_000]].concat()), Ending::Closed);
    assert_eq!(ending(body), Ending::Early);
    assert_eq!(ending(&[&archive[..], b"x"].concat()), Ending::Trailing { offset: end });
    assert_eq!(
        ending(&[&archive[..], &[0; 512], &[7; 3_000]].concat()),
        Ending::Trailing { offset: end + 512 }
    );
}
