//! A disk that is full while an index is written.

#![cfg(target_os = "linux")]

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use simsiam_pipeline::shards::{OpenOptions, ShardSet, ShardWriter};

use crate::fixture::{Fixture, contents};

/// Runs the test of this name in a process of its own that can write no file of more than a kilobyte: there the
/// system answers as a full disk does, after a part of the bytes.
fn run_on_a_full_disk(test: &str, fixture: &Fixture) {
    let limited = "trap '' XFSZ; ulimit -f 1; exec \"$@\"";
    let mut command = Command::new("sh");
    command.args(["-c", limited, "sh"]).arg(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture"]).env("CHILD", fixture.path(""));
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

#[test]
fn an_index_that_does_not_fit_on_the_disk_stays_in_memory() {
    let Some(folder) = std::env::var_os("CHILD").map(PathBuf::from) else {
        let fixture = Fixture::new();
        fixture.shard("a.tar", 100);
        run_on_a_full_disk("disk::an_index_that_does_not_fit_on_the_disk_stays_in_memory", &fixture);
        assert_eq!(fs::read_dir(fixture.shards()).unwrap().count(), 1, "no part of an index is left");
        assert_eq!(fs::read_dir(fixture.cache()).unwrap().count(), 0, "nor in the cache");
        return;
    };
    let options = OpenOptions { cache_dir: Some(folder.join("../cache")), ..Default::default() };
    let set = ShardSet::open(&[folder.to_str().unwrap()], &options).unwrap();
    assert_eq!((set.len(), &*set.read(99).unwrap().bytes), (100, &contents(99)[..]));

    let mut writer = ShardWriter::create(&folder.join("b.tar")).unwrap();
    let error = (0..100).find_map(|i| writer.append(&format!("{i}"), "jpg", &contents(i), None).err());
    let error = error.map_or_else(|| writer.finish().err(), Some).expect("a shard of 400 KiB does not fit");
    assert!(
        error.to_string().starts_with("cannot write ") && error.to_string().ends_with("b.tar"),
        "{error}"
    );
}
