//! The same images as a tar, a folder, zips and Parquet files are the same samples.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FloatType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use simsiam_pipeline::pack::{PackOptions, PackOrder, pack, pack_set};
use simsiam_pipeline::sampler::SampleSet;
use simsiam_pipeline::shards::{Access, FindingKind, Labels, OpenOptions, ReadCause, ShardSet, ShardWriter};
use zip::CompressionMethod;
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::fixture::{Fixture, contents, jpeg};

/// Images of two classes: path, bytes, label. In the order of a listing, which is not that of the whole paths.
fn images() -> Vec<(String, Vec<u8>, u32)> {
    let class = |i: u32| if i < 12 { "cat" } else { "cat-wild" };
    (0..30).map(|i| (format!("{}/img.{i:02}.jpg", class(i)), contents(i), u32::from(i >= 12))).collect()
}

fn tar(fixture: &Fixture) -> PathBuf {
    let path = fixture.path("images.tar");
    let mut writer = ShardWriter::create(&path).unwrap();
    for (name, bytes, label) in images() {
        let key = name.strip_suffix(".jpg").unwrap().replace("img.", "img_");
        writer.append(&key, "jpg", &bytes, Some(label)).unwrap();
    }
    writer.finish().unwrap();
    path
}

fn folder(fixture: &Fixture) -> PathBuf {
    let root = fixture.path("photos");
    for (name, bytes, _) in images() {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::write(root.join("readme.txt"), "hello").unwrap();
    root
}

fn zip(fixture: &Fixture, name: &str, method: CompressionMethod) -> PathBuf {
    let path = fixture.path(name);
    let mut writer = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(method);
    writer.add_directory("photos/", options).unwrap();
    // As the file system lists them: in no order.
    for (name, bytes, _) in images().iter().rev() {
        writer.start_file(format!("photos/{name}"), options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap();
    path
}

/// As Hugging Face's `datasets` writes it: several row groups, a struct with bytes and path, class names in the metadata.
fn parquet(fixture: &Fixture, name: &str, compression: Compression, has_dictionary: bool) -> PathBuf {
    let schema = "message schema {
        optional group image { optional binary bytes; optional binary path (UTF8); }
        optional int64 label;
    }";
    let features = r#"{"info": {"features": {"image": {"_type": "Image"},
        "label": {"names": ["cat", "cat-wild"], "_type": "ClassLabel"}}}}"#;
    let properties = WriterProperties::builder()
        .set_compression(compression)
        .set_dictionary_enabled(has_dictionary)
        .set_data_page_size_limit(20_000)
        .set_write_batch_size(3)
        .set_key_value_metadata(Some(vec![KeyValue::new("huggingface".into(), features.to_owned())]))
        .build();
    let path = fixture.path(name);
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer =
        SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::new(properties)).unwrap();
    for rows in images().chunks(11) {
        let mut group = writer.next_row_group().unwrap();
        let mut write_bytes = |values: Vec<Vec<u8>>| {
            let mut column = group.next_column().unwrap().unwrap();
            let levels = vec![2; values.len()];
            let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None).unwrap();
            column.close().unwrap();
        };
        write_bytes(rows.iter().map(|(_, bytes, _)| bytes.clone()).collect());
        write_bytes(rows.iter().map(|(name, ..)| name.clone().into_bytes()).collect());
        let mut column = group.next_column().unwrap().unwrap();
        let labels: Vec<i64> = rows.iter().map(|(.., label)| i64::from(*label)).collect();
        column.typed::<Int64Type>().write_batch(&labels, Some(&vec![1; labels.len()]), None).unwrap();
        column.close().unwrap();
        group.close().unwrap();
    }
    writer.close().unwrap();
    path
}

/// Images of any bytes with a label each, where it is some.
fn labelled_parquet<T: DataType>(fixture: &Fixture, kind: &str, labels: &[Option<T::T>]) -> PathBuf
where
    T::T: Clone,
{
    let schema = format!("message schema {{ required binary image; optional {kind} label; }}");
    let schema = Arc::new(parse_message_type(&schema).unwrap());
    let path = fixture.path(&format!("{kind}.parquet"));
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let images: Vec<ByteArray> = labels.iter().map(|_| contents(1).into()).collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<ByteArrayType>().write_batch(&images, None, None).unwrap();
    column.close().unwrap();
    let levels: Vec<i16> = labels.iter().map(|label| label.is_some().into()).collect();
    let labels: Vec<T::T> = labels.iter().flatten().cloned().collect();
    let mut column = group.next_column().unwrap().unwrap();
    column.typed::<T>().write_batch(&labels, Some(&levels), None).unwrap();
    column.close().unwrap();
    group.close().unwrap();
    writer.close().unwrap();
    path
}

#[test]
fn labels_may_be_numbers_with_a_point_and_truth_values() {
    let fixture = Fixture::new();
    // As pandas writes whole numbers of which some are missing; a fraction is no label.
    let reals = [Some(3.0), None, Some(f64::NAN), Some(0.0), Some(2.5), Some(-1.0)];
    let floats = reals.map(|real| real.map(|real| real as f32));
    let expected = [Some(3), None, None, Some(0), None, None];
    for path in [
        labelled_parquet::<DoubleType>(&fixture, "double", &reals),
        labelled_parquet::<FloatType>(&fixture, "float", &floats),
    ] {
        let set = open_with(&fixture, &path, Labels::Own);
        assert_eq!((0..6).map(|i| set.label(i)).collect::<Vec<_>>(), expected);
        let counts: Vec<_> = set.shards().next().unwrap().finding_counts().collect();
        assert_eq!(counts, [(FindingKind::NotALabel, 1)]);
    }
    let path = labelled_parquet::<BoolType>(&fixture, "boolean", &[Some(true), Some(false), None]);
    let set = open_with(&fixture, &path, Labels::Own);
    assert_eq!([set.label(0), set.label(1), set.label(2)], [Some(1), Some(0), None]);
}

fn open_with(fixture: &Fixture, path: &Path, labels: Labels) -> ShardSet {
    open_as(fixture, path, labels, Access::Mapped)
}

fn open_as(fixture: &Fixture, path: &Path, labels: Labels, access: Access) -> ShardSet {
    let options = OpenOptions { cache_dir: Some(fixture.cache()), labels, access, ..Default::default() };
    ShardSet::open(&[path.to_str().unwrap()], &options).unwrap()
}

#[test]
fn all_kinds_give_the_same_samples_in_the_same_order() {
    check_kinds(Access::Mapped);
}

#[test]
fn copies_are_the_same_samples() {
    check_kinds(Access::Copied);
}

fn check_kinds(access: Access) {
    let fixture = Fixture::new();
    let sources = [
        tar(&fixture),
        folder(&fixture),
        zip(&fixture, "stored.zip", CompressionMethod::Stored),
        zip(&fixture, "deflated.zip", CompressionMethod::Deflated),
        parquet(&fixture, "plain.parquet", Compression::UNCOMPRESSED, false),
        parquet(&fixture, "dictionary.parquet", Compression::UNCOMPRESSED, true),
        parquet(&fixture, "snappy.parquet", Compression::SNAPPY, false),
    ];
    let first = open_as(&fixture, &sources[0], Labels::Own, access).fingerprint();
    for source in &sources {
        // The second time with the stored index.
        for time in 0..2 {
            let set = open_as(&fixture, source, Labels::Own, access);
            let at = format!("{}, time {time}", source.display());
            assert_eq!(set.len(), 30, "{at}");
            assert!(set.fingerprint().matches(&first), "{at}: {} and {first}", set.fingerprint());
            assert!(set.has_labels(), "{at}");
            let names = set.class_names().map(<[String]>::to_vec);
            assert!(names.as_ref().is_none_or(|names| names == &["cat", "cat-wild"]), "{at}");
            let says_classes = source.extension().is_some_and(|extension| extension == "parquet");
            assert!(names.is_some() || !says_classes, "{at}");
            for (number, (name, bytes, label)) in (0..).zip(images()) {
                let sample = set.read(number).unwrap();
                assert_eq!(
                    (&*sample.bytes, sample.label),
                    (&bytes[..], Some(label)),
                    "{at}, sample {number}"
                );
                let key = sample.key().replace("img_", "img.").replace("photos/", "");
                assert_eq!(format!("{key}.jpg"), name, "{at}");
                sample.check_intact().unwrap();
            }
            assert!(set.read(30).is_err());
        }
    }
    let in_place = |name: &str| fixture.path(name).with_extension("parquet.idx").exists();
    let is_mapped = access == Access::Mapped;
    assert_eq!([in_place("plain.parquet"), in_place("dictionary.parquet")], [is_mapped; 2]);
    assert!(!in_place("snappy.parquet"));
    // A set of several kinds.
    let several = ShardSet::open(
        &[sources[1].to_str().unwrap(), sources[0].to_str().unwrap()],
        &OpenOptions { cache_dir: Some(fixture.cache()), labels: Labels::Folders, ..Default::default() },
    );
    let several = several.unwrap();
    assert_eq!((several.len(), several.shared_with(None, &several, None)), (60, 60));
    assert!((0..30).all(|i| several.label(i) == several.label(i + 30)), "classes have one number in both");
}

#[test]
fn labels_come_from_where_they_are_said_to() {
    let fixture = Fixture::new();
    let table = fixture.cache().with_extension("csv");
    let rows: String = (0..29).map(|i| format!("img.{i:02}.jpg,{}\n", i % 3)).collect();
    fs::write(&table, rows).unwrap();
    for source in [folder(&fixture), zip(&fixture, "z.zip", CompressionMethod::Stored), tar(&fixture)] {
        let labels = |labels: Labels| {
            let set = open_with(&fixture, &source, labels);
            (0..30).map(|i| set.label(i)).collect::<Vec<_>>()
        };
        assert_eq!(labels(Labels::None), [None; 30]);
        let expected: Vec<_> = images().iter().map(|(.., label)| Some(*label)).collect();
        assert_eq!(labels(Labels::Folders), expected, "{}", source.display());
        if source.extension().is_none_or(|extension| extension != "tar") {
            let expected: Vec<_> = (0..30).map(|i| (i < 29).then_some(i % 3)).collect();
            assert_eq!(labels(Labels::Table(table.clone())), expected, "{}", source.display());
        }
        assert_eq!(labels(Labels::Own), labels(Labels::Folders), "{}", source.display());
    }
    fs::write(&table, "img.00.jpg,7\n").unwrap();
    let set = open_with(&fixture, &fixture.path("photos"), Labels::Table(table));
    assert_eq!((set.label(0), set.label(1)), (Some(7), None), "a table that has changed is read again");
}

#[test]
fn a_folder_that_changes_is_listed_anew_and_files_that_change_meanwhile_are_bad_samples() {
    let fixture = Fixture::new();
    let root = folder(&fixture);
    let open = || open_with(&fixture, &root, Labels::Own);
    let set = open();
    fs::write(root.join("cat/img.03.jpg"), b"shorter").unwrap();
    fs::write(root.join("cat/img.04.jpg"), [1; 9000]).unwrap();
    fs::remove_file(root.join("cat/img.05.jpg")).unwrap();
    let cause = |sample| set.read(sample).unwrap_err().cause;
    assert!(matches!(cause(3), ReadCause::Resized { found: 7, .. }), "{}", cause(3));
    assert!(matches!(cause(4), ReadCause::Resized { .. }), "{}", cause(4));
    assert!(cause(5).to_string().starts_with("No such file"), "{}", cause(5));
    assert_eq!(set.read(6).unwrap().bytes, contents(6));
    let place = set.read(5).unwrap_err().to_string();
    assert!(place.contains("photos, sample 5 \"cat/img.05\": "), "{place}");

    let anew = open();
    assert_eq!((anew.len(), &*anew.read(3).unwrap().bytes), (29, &b"shorter"[..]));
    fs::create_dir(root.join("dog")).unwrap();
    fs::write(root.join("dog/a.jpg"), contents(1)).unwrap();
    assert_eq!(open().len(), 30);
}

#[test]
fn what_cannot_be_read_of_a_folder_is_found() {
    let fixture = Fixture::new();
    let root = folder(&fixture);
    fs::write(root.join("cat/.hidden.jpg"), contents(1)).unwrap();
    fs::write(root.join("cat/new.avif"), contents(1)).unwrap();
    std::os::unix::fs::symlink("nowhere.jpg", root.join("cat/link.jpg")).unwrap();
    std::os::unix::fs::symlink("..", root.join("cat/up")).unwrap();
    let elsewhere = fixture.cache().with_extension("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("a.jpg"), contents(2)).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.join("linked")).unwrap();
    std::os::unix::fs::symlink(&elsewhere, root.join("linked-again")).unwrap();
    let set = open_with(&fixture, &root, Labels::Own);
    assert_eq!(set.len(), 31, "a folder behind two links is read once");
    let counts: Vec<_> = set.shards().next().unwrap().finding_counts().collect();
    let expected = [FindingKind::HiddenName, FindingKind::UnreadFormat, FindingKind::Unreadable];
    assert_eq!(counts, expected.map(|kind| (kind, 1)));
}

#[test]
fn broken_archives_are_errors_that_name_them() {
    let fixture = Fixture::new();
    let error = |path: &Path| {
        let prefix = format!("{}/", fixture.shards().display());
        fixture.open_pattern(path).unwrap_err().to_string().replace(&prefix, "")
    };
    let zip = zip(&fixture, "a.zip", CompressionMethod::Stored);
    let whole = fs::read(&zip).unwrap();
    fs::write(&zip, &whole[..whole.len() / 2]).unwrap();
    assert!(error(&zip).starts_with("a.zip: not a zip archive that can be read: "), "{}", error(&zip));
    fs::write(&zip, b"").unwrap();
    assert!(error(&zip).starts_with("a.zip: not a zip archive that can be read: "), "{}", error(&zip));

    let table = parquet(&fixture, "a.parquet", Compression::UNCOMPRESSED, false);
    let whole = fs::read(&table).unwrap();
    fs::write(&table, &whole[..whole.len() / 2]).unwrap();
    assert!(
        error(&table).starts_with("a.parquet: not a Parquet file that can be read: "),
        "{}",
        error(&table)
    );

    let schema =
        Arc::new(parse_message_type("message m { required int64 x; required binary name (UTF8); }").unwrap());
    let writer = SerializedFileWriter::new(File::create(&table).unwrap(), schema, Arc::default()).unwrap();
    writer.close().unwrap();
    assert_eq!(
        error(&table),
        "a.parquet: no column of images, as byte strings or as a struct with `bytes` (columns: x (INT64), name (BYTE_ARRAY))"
    );
}

#[test]
fn texts_that_are_no_labels_are_found_in_a_table() {
    let fixture = Fixture::new();
    let path = fixture.path("a.parquet");
    let schema = "message m { required binary image; required binary label (UTF8); }";
    let schema = Arc::new(parse_message_type(schema).unwrap());
    let mut writer = SerializedFileWriter::new(File::create(&path).unwrap(), schema, Arc::default()).unwrap();
    let mut group = writer.next_row_group().unwrap();
    let caption = "a cat on a mat, ".repeat(20);
    let images = (0..3).map(|seed| jpeg(seed, 8, 8)).collect::<Vec<_>>();
    let labels = ["cat", &caption, "dog"].map(|label| label.as_bytes().to_vec());
    for values in [images, labels.to_vec()] {
        let mut column = group.next_column().unwrap().unwrap();
        let values: Vec<ByteArray> = values.into_iter().map(ByteArray::from).collect();
        column.typed::<ByteArrayType>().write_batch(&values, None, None).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    let set = open_with(&fixture, &path, Labels::Own);
    assert_eq!([0, 1, 2].map(|sample| set.label(sample)), [Some(0), None, Some(1)]);
    let counts: Vec<_> = set.shards().next().unwrap().finding_counts().collect();
    assert_eq!(counts, [(FindingKind::NotALabel, 1)]);
}

#[test]
fn damaged_members_of_a_zip_are_bad_samples() {
    let fixture = Fixture::new();
    for method in [CompressionMethod::Stored, CompressionMethod::Deflated] {
        let path = zip(&fixture, "a.zip", method);
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle..middle + 40].fill(0xff);
        fs::write(&path, bytes).unwrap();
        let set = open_with(&fixture, &path, Labels::Own);
        let bad: Vec<_> = (0..30).filter_map(|i| set.read(i).err()).collect();
        assert!((1..=2).contains(&bad.len()), "{bad:?}");
    }
}

#[test]
fn a_folder_and_what_is_packed_of_it_in_the_order_of_names_are_the_same_images() {
    let fixture = Fixture::new();
    let (root, out) = (folder(&fixture), fixture.path("out"));
    for (number, (name, ..)) in (0..).zip(images()) {
        fs::write(root.join(name), jpeg(number, 40 + number, 30)).unwrap();
    }
    let options = PackOptions { order: PackOrder::Source, shard_bytes: 20_000, ..Default::default() };
    pack(root.to_str().unwrap(), &out, &options, &mut |_| ()).unwrap();
    let (packed, own) = (open_with(&fixture, &out, Labels::Own), open_with(&fixture, &root, Labels::Own));
    assert!(packed.shards().len() > 2 && packed.fingerprint().matches(&own.fingerprint()));
    assert!((0..30).all(|i| packed.label(i) == own.label(i)));
}

#[test]
fn a_zip_bomb_is_not_inflated() {
    let fixture = Fixture::new();
    let path = zip(&fixture, "a.zip", CompressionMethod::Deflated);
    let mut bytes = fs::read(&path).unwrap();
    // In the central directory, the first member is said to have two gigabytes.
    let at = bytes.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    let member = (at..)
        .find(|&at| bytes[at..].starts_with(b"PK\x01\x02") && bytes[at + 20..at + 24] != [0; 4])
        .unwrap();
    bytes[member + 24..member + 28].copy_from_slice(&(2_u32 << 30).to_le_bytes());
    fs::write(&path, bytes).unwrap();
    let set = open_with(&fixture, &path, Labels::Own);
    let counts: Vec<_> = set.shards().next().unwrap().finding_counts().collect();
    assert_eq!((set.len(), counts), (29, vec![(FindingKind::Unreadable, 1)]));
}

#[test]
fn any_source_is_packed_with_its_labels_and_in_its_order() {
    let fixture = Fixture::new();
    let table = parquet(&fixture, "a.parquet", Compression::UNCOMPRESSED, false);
    let set = open_with(&fixture, &table, Labels::Own);
    let chosen = SampleSet::new(&[2, 11, 12, 29], set.len());
    // Its images are none, so that those are left out which are not to be kept as they are.
    let options = PackOptions { order: PackOrder::Source, ..Default::default() };
    let error =
        pack_set(&set, Some(&chosen), &fixture.path("none"), &options, &mut |_| ()).unwrap_err().to_string();
    assert!(error.starts_with("none of the 4 images could be decoded (first: "), "{error}");
    let jpegs = fixture.path("jpegs");
    for number in 0..6 {
        let path = jpegs.join(format!("{}/x.{number}.jpg", if number < 3 { "a" } else { "b" }));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, jpeg(number, 16 + number, 16)).unwrap();
    }
    let set = open_with(&fixture, &jpegs, Labels::Own);
    let chosen = SampleSet::new(&[1, 3, 4], set.len());
    let out = fixture.path("packed");
    pack_set(&set, Some(&chosen), &out, &options, &mut |_| ()).unwrap();
    let packed = open_with(&fixture, &out, Labels::Own);
    let samples: Vec<_> =
        (0..packed.len()).map(|i| packed.read(i).map(|s| (s.key(), s.label)).unwrap()).collect();
    assert_eq!(samples, [("a/x_1".into(), Some(0)), ("b/x_3".into(), Some(1)), ("b/x_4".into(), Some(1))]);
    assert_eq!(packed.class_names().unwrap(), ["a", "b"]);
    assert_eq!(packed.read(2).unwrap().bytes, set.read(4).unwrap().bytes);
}
