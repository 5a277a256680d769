//! Archives that were made to hurt: their names lead nowhere, and their members cost no more than their bytes.

use std::fs;
use std::time::Duration;

use crate::fixture::Fixture;

fn keys(fixture: &Fixture) -> Vec<String> {
    let set = fixture.open().unwrap();
    (0..set.len()).map(|i| set.read(i).unwrap().key()).collect()
}

/// One block of an archive: a header with the name, size and type flag given.
fn header(name: &str, size: usize, flag: u8) -> Vec<u8> {
    let mut header = tar::Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(size as u64);
    header.set_entry_type(tar::EntryType::new(flag));
    header.set_cksum();
    header.as_bytes().to_vec()
}

#[test]
fn names_are_names_and_never_paths() {
    let fixture = Fixture::new();
    let names =
        ["../../up.jpg", "/etc/passwd.jpg", "a/../b.jpg", "c:\\x.jpg", "\u{1b}[2J.jpg", "./.jpg", "..jpg"];
    let archive: Vec<u8> = names.iter().flat_map(|name| header(name, 0, b'0')).collect();
    fs::write(fixture.path("a.tar"), archive).unwrap();
    assert_eq!(keys(&fixture), ["../../up", "/etc/passwd", "a/../b", "c:\\x", "\u{1b}[2J"]);
    let place = fixture.open().unwrap().locate(4).to_string();
    assert!(place.ends_with(r#"sample 4 "\u{1b}[2J""#), "a terminal sees no control characters: {place}");
    assert_eq!(fs::read_dir(fixture.shards()).unwrap().count(), 2, "the shard and its index");
}

#[test]
fn links_devices_and_folders_are_no_samples() {
    let fixture = Fixture::new();
    let mut archive: Vec<u8> = (b'1'..=b'6').flat_map(|flag| header("x.jpg", 0, flag)).collect();
    archive.extend(header("y.jpg", 0, b'0'));
    fs::write(fixture.path("a.tar"), archive).unwrap();
    assert_eq!(keys(&fixture), ["y"]);
}

#[test]
fn a_global_name_for_all_members_does_not_fill_the_memory() {
    let fixture = Fixture::new();
    let name = "n".repeat(1 << 20) + ".jpg";
    let record = format!("{} path={name}\n", "1048594 path=\n".len() + name.len());
    let mut archive = header("pax", record.len(), b'g');
    archive.extend(record.as_bytes());
    archive.resize(archive.len().next_multiple_of(512), 0);
    (0..10_000).for_each(|_| archive.extend(header("x.jpg", 0, b'0')));
    fs::write(fixture.path("a.tar"), archive).unwrap();
    assert_eq!(
        fixture.error(),
        format!("shard a.tar: not supported (a name of {} bytes at offset {})", name.len(), 512 + 512 * 2050)
    );
}

/// Many tiny members, and as many members of one sample: `MEMBERS=1000000` makes it a million of each.
#[test]
fn any_number_of_members_is_read() {
    let members: usize = std::env::var("MEMBERS").map_or(30_000, |text| text.parse().unwrap());
    let fixture = Fixture::new();
    let archive: Vec<u8> = (0..members).flat_map(|i| header(&format!("{i}.jpg"), 0, b'0')).collect();
    fs::write(fixture.path("a.tar"), archive).unwrap();
    let set = fixture.open().unwrap();
    assert_eq!(set.len(), members as u64);
    assert_eq!(set.read(set.len() - 1).unwrap().key(), (members - 1).to_string());
    let index = fs::metadata(fixture.path("a.tar.idx")).unwrap().len();
    assert!(index <= 88 + 31 * members as u64, "{index} bytes of index: a record and a key each");

    let extensions = (0..members).map(|i| format!("x.{i}")).chain(["x.jpg".into()]);
    let archive: Vec<u8> = extensions.flat_map(|name| header(&name, 0, b'0')).collect();
    fs::write(fixture.path("a.tar"), archive).unwrap();
    assert_eq!(keys(&fixture), ["x"]);
}

#[cfg(unix)]
#[test]
fn a_pipe_or_a_device_is_refused_and_not_waited_for() {
    let fixture = Fixture::new();
    let pipe = fixture.path("a.tar");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let refused = |error: simsiam_pipeline::shards::ShardError| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(cause.as_deref(), Some("not a regular file"), "{error}");
    };
    refused(fixture.open_pattern(&pipe).unwrap_err());
    fs::remove_file(&pipe).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &pipe).unwrap();
    refused(fixture.open_pattern(&pipe).unwrap_err());
}

#[test]
fn a_shard_changed_under_an_unchanged_stamp_gives_errors_and_no_wrong_bytes() {
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 3);
    fixture.open().unwrap();
    let stamp = fs::metadata(&path).unwrap().modified().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    let place = 512 + 100;
    bytes[place] ^= 0xff;
    fs::write(&path, &bytes).unwrap();
    fs::File::options().write(true).open(&path).unwrap().set_modified(stamp).unwrap();
    let set = fixture.open().unwrap();
    assert!(set.read(0).unwrap_err().to_string().contains("the bytes changed"));
    assert!(set.read(1).is_ok());

    // A clock that was set back: the shard is older than its index, and is another state all the same.
    let earlier = stamp - Duration::from_secs(86_400 * 365);
    fs::File::options().write(true).open(&path).unwrap().set_modified(earlier).unwrap();
    assert_eq!(fixture.open().unwrap().read(0).unwrap().bytes[100], bytes[place]);
}
