//! Shards that are no shards, that are cut short, or that change while they are mapped.

use std::fs::{self, OpenOptions};
use std::path::Path;

use simsiam_pipeline::shards::{Access, ReadCause, ShardError};

use crate::fixture::{Fixture, contents};

fn cut(path: &Path, length: u64) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(length).unwrap();
}

#[test]
fn what_is_no_shard_is_refused_with_the_reason() {
    let fixture = Fixture::new();
    fs::write(fixture.path("a.tar"), b"not a tar archive".repeat(100)).unwrap();
    assert_eq!(fixture.error(), "shard a.tar: not a tar archive (bad header checksum at offset 0)");
    fs::write(fixture.path("a.tar"), b"").unwrap();
    assert_eq!(fixture.error(), "shard a.tar: not a tar archive (an empty file at offset 0)");
    fixture.members("a.tar", &[("readme.txt", b"hello"), ("x.cls", b"1")]);
    assert_eq!(fixture.error(), "shard a.tar: no images among its 2 members");
    fixture.members("a.tar", &[]);
    assert_eq!(fixture.error(), "shard a.tar: no images among its 0 members");

    let mut bytes = fs::read(fixture.shard("a.tar", 2)).unwrap();
    bytes[1536 + 60] ^= 0xff;
    fs::write(fixture.path("a.tar"), bytes).unwrap();
    assert_eq!(fixture.error(), "shard a.tar: not a tar archive (bad header checksum at offset 1536)");
}

#[test]
fn the_first_bad_shard_is_the_one_that_is_named() {
    let fixture = Fixture::new();
    fixture.shard("a.tar", 2);
    for name in ["b.tar", "c.tar"] {
        fs::write(fixture.path(name), b"x").unwrap();
    }
    assert!(fixture.error().starts_with("shard b.tar: not a tar archive"));
}

#[test]
fn a_shard_cut_anywhere_is_opened_whole_or_refused() {
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 3);
    let whole = fs::read(&path).unwrap();
    // Each sample is two members; the shard ends with two blocks of zeros.
    let mut opened = Vec::new();
    for length in (0..=whole.len()).filter(|length| length % 512 == 0 || length % 97 == 0) {
        fs::write(&path, &whole[..length]).unwrap();
        match fixture.open() {
            Ok(set) => {
                (0..set.len()).for_each(|i| assert_eq!(set.read(i).unwrap().bytes, contents(i as u32)));
                opened.push(set.len());
            }
            Err(ShardError::Truncated { offset, .. }) => assert!(offset < length as u64),
            Err(ShardError::NotTar { offset: 0, .. }) => assert!(length < 512),
            Err(error) => panic!("cut at {length}: {error}"),
        }
    }
    opened.dedup();
    assert_eq!(opened, [1, 2, 3]);
}

#[cfg(unix)]
#[test]
fn a_shard_that_shrinks_while_mapped_is_an_error_that_names_it() {
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 200);
    let whole = fs::metadata(&path).unwrap().len();
    fixture.shard("b.tar", 3);
    let set = fixture.open().unwrap();
    let half_way = set.read(100).unwrap();
    assert_eq!(half_way.check_intact(), Ok(()));
    let kept = set.locate(90).offset + 20_000;
    cut(&path, kept);

    assert_eq!(set.read(10).unwrap().bytes, contents(10), "what is left stays readable");
    let error = set.read(150).unwrap_err();
    assert_eq!(error.cause, ReadCause::Shrunk { expected: whole, found: kept });
    let text = error.to_string().replace(fixture.shards().to_str().unwrap(), "DIR");
    let expected = format!("the shard shrank from {whole} to {kept} bytes while in use");
    assert_eq!(text, format!("shard DIR/a.tar, sample 150 \"n0150\": {expected}"));
    assert_eq!(set.read(10).unwrap().bytes, contents(10), "after the fault, too");
    assert_eq!(set.read(202).unwrap().bytes, contents(2), "other shards are not concerned");

    // A view that was taken before: its bytes read as zeros, and it says so.
    assert_eq!(half_way.bytes.last(), Some(&0));
    assert!(matches!(half_way.check_intact().unwrap_err().cause, ReadCause::Shrunk { .. }));

    for i in 0..200 {
        match set.read(i) {
            Ok(sample) => assert_eq!(sample.bytes, contents(i as u32)),
            Err(error) => assert!(matches!(error.cause, ReadCause::Shrunk { .. }), "{error}"),
        }
    }
}

#[cfg(unix)]
#[test]
fn a_shard_that_is_emptied_under_many_readers_never_gives_wrong_bytes() {
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 300);
    let set = fixture.open().unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for i in (0..300).cycle().take(20_000) {
                    let Ok(sample) = set.read(i) else { continue };
                    let copy = sample.bytes.to_vec();
                    if sample.check_intact().is_ok() {
                        assert_eq!(copy, contents(i as u32));
                    }
                }
            });
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
        cut(&path, 0);
    });
    assert!((0..300).all(|i| matches!(set.read(i).unwrap_err().cause, ReadCause::Shrunk { .. })));
}

#[test]
fn a_shard_that_grows_is_replaced_or_removed_stays_readable() {
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 50);
    let set = fixture.open().unwrap();
    let all_intact = || (0..50).all(|i| set.read(i).unwrap().bytes == contents(i as u32));
    cut(&path, 1 << 20);
    assert!(all_intact());
    fixture.shard("a.tar", 1);
    assert!(all_intact());
    fs::remove_file(&path).unwrap();
    assert!(all_intact());
}

#[cfg(unix)]
#[test]
fn bytes_that_are_overwritten_are_noticed() {
    use std::os::unix::fs::FileExt;
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 5);
    let set = fixture.open().unwrap();
    let place = set.locate(3).offset + 100;
    let before = set.read(3).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0], place).unwrap();
    assert!(matches!(before.check_intact().unwrap_err().cause, ReadCause::Checksum { .. }));
    let error = set.read(3).unwrap_err();
    assert!(matches!(error.cause, ReadCause::Checksum { .. }), "{error}");
    assert!(set.read(2).is_ok() && set.read(4).is_ok());
}

#[cfg(target_os = "linux")]
#[test]
fn without_a_fault_handler_shards_shrink_and_are_damaged_as_with_one() {
    use std::os::unix::fs::FileExt;
    if std::env::var_os("CHILD").is_none() {
        let status =
            run_in_child("damage::without_a_fault_handler_shards_shrink_and_are_damaged_as_with_one");
        assert!(status.success(), "{status}");
        return;
    }
    let before = sigbus_action();
    let fixture = Fixture::new();
    let path = fixture.shard("a.tar", 200);
    let whole = fs::metadata(&path).unwrap().len();
    // The second time with the stored index.
    for _ in 0..2 {
        fixture.open_as(&fixture.shards(), Access::Copied).unwrap();
    }
    let set = fixture.open_as(&fixture.shards(), Access::Copied).unwrap();
    OpenOptions::new().write(true).open(&path).unwrap().write_all_at(&[0], set.locate(3).offset).unwrap();
    assert!(matches!(set.read(3).unwrap_err().cause, ReadCause::Checksum { .. }));
    let kept = set.locate(90).offset + 20_000;
    let early = set.read(100).unwrap();
    cut(&path, kept);
    cut(&path.with_extension("tar.idx"), 0);
    assert_eq!(set.read(10).unwrap().bytes, contents(10));
    assert_eq!(set.read(150).unwrap_err().cause, ReadCause::Shrunk { expected: whole, found: kept });
    assert_eq!((early.check_intact(), &*early.bytes), (Ok(()), &contents(100)[..]), "a copy does not change");
    assert_eq!(sigbus_action(), before);
    let mapped = Fixture::new();
    mapped.shard("b.tar", 1);
    mapped.open().unwrap();
    assert_ne!(sigbus_action(), before, "a mapping has a handler");
}

/// The address of what handles SIGBUS in this process.
#[cfg(target_os = "linux")]
fn sigbus_action() -> usize {
    // SAFETY: without a new action, the call only writes the present one to the struct.
    unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        assert_eq!(libc::sigaction(libc::SIGBUS, std::ptr::null(), &mut action), 0);
        action.sa_sigaction
    }
}

/// Runs the test of this name in a process of its own, with `CHILD` set, and says how it ended.
#[cfg(target_os = "linux")]
fn run_in_child(test: &str) -> std::process::ExitStatus {
    let program = std::env::current_exe().unwrap();
    let mut command = std::process::Command::new(program);
    command.args(["--exact", test, "--nocapture"]).env("CHILD", "1");
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.status().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn faults_in_other_mappings_still_end_the_process() {
    use std::os::unix::process::ExitStatusExt;
    const SIGBUS: i32 = 7;
    if std::env::var_os("CHILD").is_none() {
        let status = run_in_child("damage::faults_in_other_mappings_still_end_the_process");
        assert_eq!(status.signal(), Some(SIGBUS), "{status}");
        return;
    }
    let fixture = Fixture::new();
    fixture.shard("a.tar", 1);
    let _set = fixture.open().unwrap();
    let path = fixture.path("other");
    fs::write(&path, [1; 10_000]).unwrap();
    let file = fs::File::open(&path).unwrap();
    // SAFETY: the file is cut under its mapping on purpose, and the process ends at the next load.
    let map = unsafe { memmap2::Mmap::map(&file) }.unwrap();
    cut(&path, 0);
    println!("{}", map[5_000]);
}
