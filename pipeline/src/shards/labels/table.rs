//! A table of files and their labels: CSV or TSV, with or without a header.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use csv::{ReaderBuilder, StringRecord};
use xxhash_rust::xxh3::xxh3_64;

use super::super::ShardError;
use super::super::label::{self, Label};
use super::super::name;

/// Labels by the file's name: as the table has it, and without an image's extension.
#[derive(Debug)]
pub(crate) struct Table {
    path: PathBuf,
    hash: u64,
    /// Those that have a label, in the order of the lines.
    files: Vec<String>,
    /// With the number of a file of that name.
    labels: HashMap<String, (Label, usize)>,
}

/// The names of the folders in which a folder's images lie, from the root down: `/data/photos/`, `data/photos/`, `photos/`.
pub(super) struct Above(Vec<String>);

impl Above {
    /// None where the source is no folder.
    pub(super) fn of(source: &Path) -> Self {
        let whole = std::path::absolute(source).ok().filter(|_| source.is_dir());
        let Some(whole) = whole.as_deref().and_then(Path::to_str) else { return Self(Vec::new()) };
        let whole = format!("{}/", whole.replace('\\', "/").trim_end_matches('/'));
        let starts = whole.match_indices('/').map(|(at, _)| at + 1).filter(|start| *start < whole.len());
        Self([0].into_iter().chain(starts).map(|start| whole[start..].to_owned()).collect())
    }
}

const FILE_TITLES: [&str; 18] = [
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "path",
    "image_path",
    "image",
    "image_id",
    "image_name",
    "img",
    "img_path",
    "name",
    "fname",
    "key",
    "id",
    "files",
    "images",
];
const LABEL_TITLES: [&str; 13] = [
    "label",
    "labels",
    "class",
    "class_name",
    "classname",
    "class_id",
    "category",
    "target",
    "species",
    "breed",
    "cls",
    "y",
    "label_name",
];

impl Table {
    pub(super) fn read(path: &Path) -> Result<Table, ShardError> {
        let bad = |cause: String| ShardError::BadTable { path: PathBuf::from(path), cause };
        if path.is_dir() {
            return Err(bad(
                "a folder; `folders` and `parents` label images by the folders that they lie in".into(),
            ));
        }
        let bytes = fs::read(path).map_err(ShardError::io("read", path))?;
        let text = text_of(&bytes).map_err(|cause| bad(cause.into()))?;
        let mut reader = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter(text))
            .trim(csv::Trim::All)
            .from_reader(text);
        let mut rows = reader.records();
        let first = match rows.next() {
            Some(row) => row.map_err(|error| bad(error.to_string()))?,
            None => return Err(bad("no lines".into())),
        };
        let columns = Columns::of(&first).map_err(bad)?;
        let (mut labels, mut files) = (HashMap::<String, (Label, usize)>::new(), Vec::new());
        let first_row = (!columns.has_titles).then_some(Ok(first));
        for row in first_row.into_iter().chain(rows) {
            let row = row.map_err(|error| bad(error.to_string()))?;
            let line = row.position().map_or(1, |position| position.line());
            let at_line = |cause: String| bad(format!("line {line}: {cause}"));
            let (Some(file), Some(text)) = (row.get(columns.file), row.get(columns.label)) else {
                return Err(at_line(format!("{} columns, where a file and its label belong", row.len())));
            };
            if text.is_empty() {
                continue; // A file without a label.
            }
            let label = label::in_cls(text.as_bytes())
                .map_err(|bad| at_line(format!("the label {}, which is {}", bad.found, bad.kind)))?;
            let file = file.trim_start_matches("./").replace('\\', "/");
            match labels.entry(file) {
                Entry::Occupied(entry) if entry.get().0 != label => {
                    return Err(at_line(format!("another label for {:?} than above", entry.key())));
                }
                Entry::Occupied(_) => {}
                Entry::Vacant(entry) => {
                    files.push(entry.key().clone());
                    entry.insert((label, files.len() - 1));
                }
            }
        }
        if files.is_empty() {
            return Err(bad("no line has a label".into()));
        }
        Ok(Table { path: path.to_owned(), hash: xxh3_64(&bytes), files, labels: with_stems(labels) })
    }

    /// The error that no image is in the table; `image` is the key of one.
    pub(super) fn unused(&self, image: Option<String>) -> ShardError {
        let (files, one, image) = (self.files.len(), &self.files[0], image.unwrap_or_default());
        let cause = format!(
            "none of its {files} files is one of the images (it has {one:?}, and an image is {image:?})"
        );
        ShardError::BadTable { path: self.path.clone(), cause }
    }

    /// Changes with the contents.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// The label of a sample, by its key below the folders that it lies in, by its key, by either without an extension, or by the
    /// key's base name.
    pub(super) fn label(&self, key: &[u8], above: &Above) -> Option<Label> {
        Some(self.find(key, above)?.0.clone())
    }

    fn find(&self, key: &[u8], above: &Above) -> Option<&(Label, usize)> {
        let key = std::str::from_utf8(key).ok()?;
        let stem = name::without_extension(key.as_bytes()).0;
        let stem = &key[..stem.len()];
        let below = above.0.iter().find_map(|above| {
            let path = format!("{above}{key}");
            self.labels.get(&path).or_else(|| self.labels.get(&path[..above.len() + stem.len()]))
        });
        let base = |name: &str| name.rfind('/').map_or(0, |at| at + 1);
        below.or_else(|| {
            let names = [key, stem, &key[base(key)..], &stem[base(stem)..]];
            names.into_iter().find_map(|name| self.labels.get(name))
        })
    }

    /// Says which files are none of these samples.
    pub(super) fn unmatched(&self, samples: impl Iterator<Item = (Vec<u8>, Rc<Above>)>) -> Option<String> {
        let mut is_matched = vec![false; self.files.len()];
        for (key, above) in samples {
            if let Some((_, file)) = self.find(&key, &above) {
                is_matched[*file] = true;
            }
        }
        let count = is_matched.iter().filter(|is_matched| !**is_matched).count();
        let first = is_matched.iter().position(|is_matched| !is_matched)?;
        Some(format!(
            "labels {}: {count} of its {} files {} no image (first: {:?})",
            self.path.display(),
            self.files.len(),
            if count == 1 { "matches" } else { "match" },
            self.files[first]
        ))
    }
}

/// A table's text, without the mark that it may begin with.
fn text_of(bytes: &[u8]) -> Result<&[u8], &'static str> {
    match bytes {
        [0x1f, 0x8b, ..] => Err("compressed by gzip: decompress it first"),
        [b'P', b'A', b'R', b'1', ..] => Err("a Parquet file, where a CSV or TSV file belongs"),
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Err("in UTF-16: save it as UTF-8"),
        _ if std::str::from_utf8(bytes).is_err() => Err("not in UTF-8: save it as UTF-8"),
        _ => Ok(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)),
    }
}

/// The table's files also without their extension, where no two that differ in their labels would be one.
fn with_stems(labels: HashMap<String, (Label, usize)>) -> HashMap<String, (Label, usize)> {
    let mut stems: HashMap<String, Option<(Label, usize)>> = HashMap::new();
    for (file, (label, number)) in &labels {
        let (stem, extension) = name::without_extension(file.as_bytes());
        if !name::is_image(extension) {
            continue;
        }
        let stem = String::from_utf8_lossy(stem).into_owned();
        let agreed = stems.entry(stem).or_insert_with(|| Some((label.clone(), *number)));
        if agreed.as_ref().is_none_or(|(agreed, _)| agreed != label) {
            *agreed = None;
        }
    }
    let stems = stems.into_iter().filter_map(|(stem, label)| Some((stem, label?)));
    stems.chain(labels).collect()
}

/// Where the file and its label stand.
struct Columns {
    file: usize,
    label: usize,
    has_titles: bool,
}

impl Columns {
    fn of(first: &StringRecord) -> Result<Columns, String> {
        let title = |titles: &[&str]| {
            titles.iter().find_map(|title| first.iter().position(|cell| cell.eq_ignore_ascii_case(title)))
        };
        match (title(&FILE_TITLES), title(&LABEL_TITLES)) {
            (Some(file), Some(label)) => Ok(Columns { file, label, has_titles: true }),
            (None, None) if first.len() == 2 => Ok(Columns { file: 0, label: 1, has_titles: false }),
            (Some(file), None) if first.len() == 2 => Ok(Columns { file, label: 1 - file, has_titles: true }),
            (None, Some(label)) if first.len() == 2 => {
                Ok(Columns { file: 1 - label, label, has_titles: true })
            }
            _ => {
                let found: Vec<&str> = first.iter().take(8).collect();
                Err(format!(
                    "no columns titled `file` and `label` (found: {}); a table of two columns needs no titles",
                    found.join(", ")
                ))
            }
        }
    }
}

/// What stands most often in the first line of what can separate columns; a comma where nothing does.
fn delimiter(text: &[u8]) -> u8 {
    let line = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let count = |delimiter: &u8| line.iter().filter(|byte| *byte == delimiter).count();
    [b';', b',', b'\t'].into_iter().max_by_key(count).unwrap_or(b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Table, String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("labels.csv");
        fs::write(&path, text).unwrap();
        Table::read(&path).map_err(|error| error.to_string().replace(&path.display().to_string(), "T"))
    }

    fn label(text: &str, key: &str) -> Option<String> {
        read(text).unwrap().label(key.as_bytes(), &Above(Vec::new())).map(|label| label.to_string())
    }

    #[test]
    fn paths_may_begin_above_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let train = dir.path().join("set/train");
        fs::create_dir_all(&train).unwrap();
        let above = Above::of(&train);
        let label = |file: &str| {
            let table = read(&format!("{file},3\nval/cat/a.jpg,4\n")).unwrap();
            table.label(b"cat/a.jpg", &above).map(|label| label.to_string())
        };
        let number = Some("3".to_owned());
        for file in ["train/cat/a.jpg", "./train/cat/a", "set/train/cat/a.jpg", "cat/a.jpg"] {
            assert_eq!(label(file), number, "{file}");
        }
        assert_eq!(label(&train.join("cat/a.jpg").display().to_string()), number);
        assert_eq!(label("test/cat/a.jpg"), None);
    }

    #[test]
    fn files_that_are_no_samples_are_counted() {
        let table = read("a.jpg,1\nb.jpg,1\nc.jpg,2\n").unwrap();
        let samples = |keys: &[&str]| {
            let above = Rc::new(Above(Vec::new()));
            let samples: Vec<_> = keys.iter().map(|key| (key.as_bytes().to_vec(), above.clone())).collect();
            table.unmatched(samples.into_iter())
        };
        assert_eq!(samples(&["x/a.jpg", "b", "c", "d"]), None);
        let said = samples(&["a.jpg"]).unwrap();
        assert!(said.ends_with("2 of its 3 files match no image (first: \"b.jpg\")"), "{said}");
    }

    #[test]
    fn any_usual_table_is_read() {
        let number = Some("3".to_owned());
        assert_eq!(label("a.jpg,3\nb.jpg,4\n", "a.jpg"), number);
        assert_eq!(label("image_id\tlabel\r\na\t3\r\n", "x/a.jpg"), number);
        assert_eq!(label("id;size;Class\nx/a.png;100;3\n", "x/a"), number, "a tar's key has no extension");
        assert_eq!(label("label,file\n3,\"x, y.jpg\"\n", "x, y.jpg"), number);
        assert_eq!(
            label("\u{feff}path,label\n./d\\a.jpg,tabby cat\n", "d/a.jpg"),
            Some("\"tabby cat\"".into())
        );
        assert_eq!(label("a.jpg,3\n", "b.jpg"), None);
        assert_eq!(label("a.jpg,1\na.png,3\n", "a.png"), number);
        assert_eq!(label("a.jpg,1\na.png,3\n", "a"), None, "either");
    }

    #[test]
    fn what_is_no_text_is_named() {
        assert_eq!(text_of(&[0x1f, 0x8b, 8]), Err("compressed by gzip: decompress it first"));
        assert_eq!(text_of(b"PAR1.."), Err("a Parquet file, where a CSV or TSV file belongs"));
        assert_eq!(text_of(&[0xff, 0xfe, b'a', 0]), Err("in UTF-16: save it as UTF-8"));
        assert_eq!(text_of(b"a.jpg,caf\xe9\n"), Err("not in UTF-8: save it as UTF-8"));
    }

    #[test]
    fn what_is_no_table_is_named() {
        let refused = |text: &str| read(text).unwrap_err();
        assert_eq!(refused(""), "labels T: no lines");
        assert_eq!(refused("file,label\n"), "labels T: no line has a label");
        assert_eq!(refused("file,label\na.jpg,\n"), "labels T: no line has a label");
        assert_eq!(
            refused("a,b,c\n1,2,3\n"),
            "labels T: no columns titled `file` and `label` (found: a, b, c); a table of two columns needs no titles"
        );
        assert_eq!(
            refused("a.jpg,1\nb.jpg\n"),
            "labels T: line 2: 1 columns, where a file and its label belong"
        );
        assert_eq!(refused("a.jpg,1\na.jpg,2\n"), "labels T: line 2: another label for \"a.jpg\" than above");
        assert!(
            refused("a.jpg,-1\n").starts_with("labels T: line 1: the label -1, which is neither a whole")
        );
    }
}
