//! Shards become files again: the same ones, or their pixels, and never anywhere but in the named folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use simsiam_pipeline::ShardSet;
use simsiam_pipeline::decode::Decoder;

use crate::fixture::{Fixture, damage, refused, simsiam, succeed, text};

/// Every file below a folder: its path and its bytes.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            found.extend(files(&path).into_iter().map(|(below, bytes)| (format!("{name}/{below}"), bytes)));
        } else {
            found.insert(name, fs::read(path).unwrap());
        }
    }
    found
}

#[test]
fn a_part_is_packed_of_folders_and_of_shards_alike() {
    let fixture = Fixture::new();
    let pack = |source: &str, out: &str| {
        let mut command = simsiam();
        command.arg("pack").arg(fixture.path(source)).arg(fixture.path(out));
        succeed(command.args(["--fraction", "0.1", "--order", "name"]));
        let unpacked = fixture.path(&format!("{out}-files"));
        succeed(simsiam().arg("unpack").arg(fixture.path(out)).arg(&unpacked));
        files(&unpacked)
    };
    let of_folder = pack("images/train", "a");
    assert_eq!(of_folder.len(), 20, "two of each class");
    assert!(of_folder == pack("train", "b"), "keys decide which");
    let mut command = simsiam();
    command.arg("pack").arg(fixture.path("train")).arg(fixture.path("c")).args(["--select", "label in [99]"]);
    assert!(refused(&mut command).contains("--select"), "no such label");
    assert!(!fixture.path("c").exists());
}

#[test]
fn what_was_packed_comes_out_again() {
    let fixture = Fixture::new();
    let out = fixture.path("out");
    let printed = succeed(simsiam().arg("unpack").arg(fixture.path("train")).arg(&out));
    assert!(
        printed.contains("unpacked 200 images into ") && printed.contains("0 without a label"),
        "{printed}"
    );
    let packed = files(&fixture.path("images/train"));
    assert_eq!(packed.len(), 200);
    assert!(files(&out) == packed, "the same class folders, names and bytes");

    let printed = refused(simsiam().arg("unpack").arg(fixture.path("train")).arg(&out));
    assert!(printed.contains("out: is not empty (found "), "{printed}");
    let printed = refused(simsiam().arg("unpack").arg(fixture.path("train")).arg(fixture.shard()));
    assert!(printed.contains("train-000.tar: is not a folder"), "{printed}");
    let other = fixture.path("other");
    let printed =
        refused(simsiam().arg("unpack").arg(fixture.path("train")).arg(&other).args(["--limit", "0"]));
    assert!(printed.contains("--limit 0: must be at least 1"), "{printed}");
    assert!(!other.exists());
}

#[test]
fn images_without_labels_and_classes_by_name_come_out_again() {
    let fixture = Fixture::new();
    let flat = fixture.path("images/train/dots");
    succeed(simsiam().arg("pack").arg(&flat).arg(fixture.path("packed")));
    let printed = succeed(simsiam().arg("unpack").arg(fixture.path("packed")).arg(fixture.path("flat")));
    assert!(
        printed.contains("unpacked 20 images into ") && printed.contains("20 without a label"),
        "{printed}"
    );
    assert!(files(&fixture.path("flat")) == files(&flat));

    let mut archive = tar::Builder::new(fs::File::create(fixture.path("names.tar")).unwrap());
    for (name, contents) in
        [("0.jpg", "first"), ("0.cls", "dog"), ("1.jpg", "second"), ("1.cls", "cat"), ("1.png", "unused")]
    {
        let mut header = tar::Header::new_ustar();
        header.set_size(contents.len() as u64);
        archive.append_data(&mut header, name, contents.as_bytes()).unwrap();
    }
    archive.finish().unwrap();
    let printed = succeed(simsiam().arg("unpack").arg(fixture.path("names.tar")).arg(fixture.path("named")));
    assert!(printed.contains("1 image is not used"), "{printed}");
    let named = files(&fixture.path("named"));
    assert_eq!(named.keys().collect::<Vec<_>>(), ["cat/1.jpg", "dog/0.jpg"]);
}

#[test]
fn pixels_are_those_that_training_sees() {
    let fixture = Fixture::new();
    let set = ShardSet::open(&[fixture.path("train").to_str().unwrap()], &Default::default()).unwrap();
    let keys: String = (0..12).map(|sample| set.locate(sample).key + "\n").collect();
    fs::write(fixture.path("first.txt"), keys).unwrap();
    damage(&fixture.shard(), 512);
    let mut unpack = simsiam();
    unpack.arg("unpack").arg(fixture.path("train")).arg(fixture.path("out")).current_dir(fixture.path(""));
    let output = unpack.args(["--format", "png", "--select", "key in first.txt"]).output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("left out shard ") && printed.contains("train-000.tar, sample 0 "), "{printed}");
    assert!(printed.contains("unpacked 11 images into ") && printed.contains("1 left out"), "{printed}");
    let packed = files(&fixture.path("images/train"));
    let unpacked = files(&fixture.path("out"));
    assert_eq!(unpacked.len(), 11);
    for (name, png) in unpacked {
        let mut decoder = Decoder::default();
        let jpeg = &packed[&name.replace(".png", ".jpg")];
        let expected = decoder.decode(jpeg).unwrap();
        let found = image::load_from_memory(&png).unwrap().into_rgb8();
        assert_eq!(found.dimensions(), (expected.width as u32, expected.height as u32));
        assert!(found.as_raw() == expected.pixels, "{name}");
    }
}

#[test]
fn no_key_leads_out_of_the_folder_and_none_overwrites_another() {
    let fixture = Fixture::new();
    fs::create_dir(fixture.path("hostile")).unwrap();
    let mut archive = tar::Builder::new(fs::File::create(fixture.path("hostile/a.tar")).unwrap());
    // `Builder::append_data` would refuse the names.
    let mut append = |name: &str, contents: &[u8]| {
        let mut header = tar::Header::new_old();
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_size(contents.len() as u64);
        header.set_cksum();
        archive.append(&header, contents).unwrap();
    };
    for (key, label, contents) in [
        ("x/../../../outside", "0", "1"),
        ("a/b", "", "2"),
        ("same", "3", "3"),
        ("same/in/a/folder", "3", "4"),
        ("in.a.folder/named/as/a/file.d/x", "12", "5"),
        ("/same", "3", "another"),
    ] {
        append(&format!("{key}.JPEG"), contents.as_bytes());
        if !label.is_empty() {
            append(&format!("{key}.cls"), label.as_bytes());
        }
    }
    archive.finish().unwrap();
    fs::write(fixture.path("hostile/classes.txt"), "x\n../evil\n").unwrap();
    let before = files(&fixture.path("")).len();
    let unpack = |source: &str, out: &str| {
        succeed(simsiam().current_dir(fixture.path("")).args(["unpack", source, out]))
    };
    let printed = unpack("hostile", "out");
    assert!(
        printed.contains("unpacked 6 images into out: 1 without a label, 2 under changed names"),
        "{printed}"
    );
    let unpacked = files(&fixture.path("out"));
    let names: Vec<&str> = unpacked.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [
            "03/same-2.JPEG",
            "03/same.JPEG",
            "03/same/in/a/folder.JPEG",
            "12/in.a.folder/named/as/a/file.d/x.JPEG",
            "a_b.JPEG",
            "x/__/__/__/outside.JPEG",
        ]
    );
    assert_eq!(unpacked["03/same-2.JPEG"], b"another");
    assert_eq!(files(&fixture.path("")).len(), before + 7, "six images and an index");
}

/// Where a file can have no more than a kilobyte, the system answers as a full disk does.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_an_error_and_leaves_whole_files_only() {
    let fixture = Fixture::new();
    let mut unpack = std::process::Command::new("sh");
    unpack.args([
        "-c",
        "trap '' XFSZ; ulimit -f 1; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_simsiam"),
        "unpack",
    ]);
    unpack.arg(fixture.path("train")).arg(fixture.path("out")).args(["--format", "png"]);
    let output = unpack.output().unwrap();
    let printed = text(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("error: cannot write ") && printed.contains(".png: File too large"),
        "{printed}"
    );
    for (name, png) in files(&fixture.path("out")) {
        assert!(image::load_from_memory(&png).is_ok(), "{name}");
    }
}
