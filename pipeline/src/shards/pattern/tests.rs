use super::*;

/// A folder with these empty files in it.
fn folder(files: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for file in files {
        let path = dir.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, []).unwrap();
    }
    dir
}

fn names(dir: &tempfile::TempDir, patterns: &[&str]) -> Result<Vec<String>, ShardError> {
    let patterns: Vec<String> =
        patterns.iter().map(|pattern| dir.path().join(pattern).to_str().unwrap().to_owned()).collect();
    let name = |path: &PathBuf| path.strip_prefix(dir.path()).unwrap().to_str().unwrap().to_owned();
    Ok(resolve(&patterns, &OpenOptions::default())?.shards.iter().map(name).collect())
}

#[test]
fn files_folders_globs_and_braces() {
    let dir = folder(&["a-0.tar", "a-1.tar", "b-0.tar", "a-0.tar.idx", "classes.txt", "sub/c.tar", "plain"]);
    assert_eq!(names(&dir, &["plain"]).unwrap(), ["plain"], "a file may have any name");
    assert_eq!(names(&dir, &[""]).unwrap(), ["a-0.tar", "a-1.tar", "b-0.tar"]);
    assert_eq!(names(&dir, &["a-*"]).unwrap(), ["a-0.tar", "a-1.tar"]);
    assert_eq!(names(&dir, &["*/*.tar"]).unwrap(), ["sub/c.tar"]);
    assert_eq!(names(&dir, &["a-{0..1}.tar"]).unwrap(), ["a-0.tar", "a-1.tar"]);
    assert_eq!(names(&dir, &["{b,a}-*.tar", "sub"]).unwrap(), ["a-0.tar", "a-1.tar", "b-0.tar", "sub/c.tar"]);
}

#[test]
fn a_urls_query_is_no_weight() {
    let of = |pattern| weighted(pattern).1;
    assert_eq!(of("https://host/x.tar?download=1"), None);
    assert_eq!(of("https://host/x.tar=0.5"), Some(0.5));
    assert_eq!(of("s3://bucket/x-{00..12}.tar=2"), Some(2.0));
    assert_eq!(of("what?/x.tar=2"), Some(2.0));
}

#[test]
fn weights_make_sets_of_a_mixture() {
    let dir = folder(&["b/x.tar", "a/x.tar", "a/y.tar", "odd=1.tar"]);
    let resolved = |patterns: &[&str]| {
        let patterns: Vec<String> =
            patterns.iter().map(|pattern| dir.path().join(pattern).to_str().unwrap().to_owned()).collect();
        resolve(&patterns, &OpenOptions::default())
    };
    let Resolved { shards, sets, .. } = resolved(&["b/=3", "a/{y,x}.tar=0.5"]).unwrap();
    assert_eq!(shards, ["b/x.tar", "a/x.tar", "a/y.tar"].map(|path| dir.path().join(path)));
    assert_eq!(
        sets.iter().map(|(set, shards)| (set.weight, *shards)).collect::<Vec<_>>(),
        [(3.0, 1), (0.5, 2)]
    );
    assert_eq!(resolved(&["odd=1.tar"]).unwrap().sets, []);
    let error = |patterns: &[&str]| {
        let text = resolved(patterns).unwrap_err().to_string();
        text.replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(error(&["b/=3", "a/"]), "a/: has no weight, where others have one (a/=0.7 b/=0.3)");
    assert_eq!(error(&["b/=3", "b/x.tar=1"]), "b/x.tar: b/x.tar is in another set of the mixture, too");
}

#[test]
fn names_with_wildcards_in_them_are_taken_at_their_word() {
    let dir = folder(&["x[1].tar", "y{a,b}.tar", "ya.tar"]);
    assert_eq!(names(&dir, &["x[1].tar"]).unwrap(), ["x[1].tar"]);
    assert_eq!(names(&dir, &["y{a,b}.tar"]).unwrap(), ["y{a,b}.tar"]);
}

#[test]
fn the_order_is_that_of_the_paths_and_each_file_counts_once() {
    let dir = folder(&["a.tar", "b.tar", "sub/x.tar"]);
    let expected = ["a.tar", "b.tar"];
    assert_eq!(names(&dir, &["b.tar", "a.tar", "*.tar", "a.tar"]).unwrap(), expected);
    assert_eq!(names(&dir, &["b.tar", "sub/../a.tar"]).unwrap(), ["sub/../a.tar", "b.tar"]);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(dir.path().join("b.tar"), dir.path().join("c.tar")).unwrap();
        assert_eq!(names(&dir, &["c.tar", ""]).unwrap(), expected);
    }
}

#[test]
fn what_names_nothing_is_an_error_that_says_so() {
    let dir = folder(&["a-0.tar", "empty/readme", "images/cat/1.JPG", "cloned/data/train-0.parquet"]);
    let error = |pattern| {
        names(&dir, &[pattern]).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "DIR")
    };
    assert_eq!(error("b.tar"), "DIR/b.tar: no such file or folder");
    assert_eq!(error("a-{0..1}.tar"), "DIR/a-1.tar: no such file or folder");
    assert_eq!(error("b*.tar"), "DIR/b*.tar: matches no image, and no .tar, .zip or .parquet file");
    assert_eq!(error("empty"), "DIR/empty: holds no image, and no .tar, .zip or .parquet file");
    assert!(error("cloned").ends_with(".parquet file; there are some in DIR/cloned/data: name that folder"));
    assert_eq!(names(&dir, &["images"]).unwrap(), ["images"], "a folder of images is a source itself");
    assert_eq!(names(&dir, &["images/cat", "images"]).unwrap(), ["images"], "and so is not read twice");
    assert!(error("a[.tar").starts_with("DIR/a[.tar: invalid range pattern at character "));
    assert_eq!(
        resolve::<&str>(&[], &OpenOptions::default()).unwrap_err().to_string(),
        "no shards were named"
    );
}

#[test]
fn an_index_of_shards_names_them() {
    let dir = folder(&["b.tar", "sub/a.tar", "c.tar"]);
    let index = |shards: &str| {
        let text =
            format!(r#"{{"__kind__": "wids-shard-index-v1", "wids_version": 1, "shardlist": [{shards}]}}"#);
        fs::write(dir.path().join("shardindex.json"), text).unwrap();
        let found = names(&dir, &["shardindex.json"]);
        found.map_err(|error| error.to_string().replace(dir.path().to_str().unwrap(), "DIR"))
    };
    let listed = index(r#"{"url": "sub/a.tar", "nsamples": 3, "filesize": 10240}, {"url": "b.tar"}"#);
    assert_eq!(listed.unwrap(), ["b.tar", "sub/a.tar"]);
    let absolute = format!(r#"{{"url": "file:{}"}}"#, dir.path().join("c.tar").display());
    assert_eq!(index(&absolute).unwrap(), ["c.tar"]);
    assert_eq!(index(r#"{"url": "d.tar"}"#).unwrap_err(), "DIR/d.tar: no such file or folder");
    assert_eq!(
        index(r#"{"url": "s3://bucket/a.tar"}"#).unwrap_err(),
        "DIR/shardindex.json: s3://bucket/a.tar is not a local file"
    );
    assert_eq!(
        index("").unwrap_err(),
        "DIR/shardindex.json: holds no image, and no .tar, .zip or .parquet file"
    );
    fs::write(dir.path().join("other.json"), "{}").unwrap();
    let error = names(&dir, &["other.json"]).unwrap_err().to_string();
    assert!(error.contains("other.json: not an index of shards (missing field `shardlist`"), "{error}");
}

#[test]
fn names_that_begin_with_a_dot_are_no_shards() {
    let dir = folder(&["a.tar", ".b.tar", "._a.tar", ".hidden/c.tar"]);
    for pattern in ["", "*", "*.tar", "*/*.tar", ".*"] {
        let found = names(&dir, &[pattern]);
        match pattern {
            "*/*.tar" | ".*" => assert!(found.is_err(), "{pattern}: {found:?}"),
            _ => assert_eq!(found.unwrap(), ["a.tar"], "{pattern}"),
        }
    }
    assert_eq!(names(&dir, &[".b.tar"]).unwrap(), [".b.tar"], "a file may have any name");
}

#[cfg(unix)]
#[test]
fn a_link_to_nothing_is_named_and_so_is_a_loop() {
    let dir = folder(&["a.tar"]);
    std::os::unix::fs::symlink("/nowhere/b.tar", dir.path().join("b.tar")).unwrap();
    for pattern in ["", "*.tar", "b.tar", "{a,b}.tar"] {
        let error = names(&dir, &[pattern]).unwrap_err().to_string();
        let link = dir.path().join("b.tar").display().to_string();
        assert_eq!(error, format!("{link}: a link to /nowhere/b.tar, which does not exist"), "{pattern}");
    }
    fs::remove_file(dir.path().join("b.tar")).unwrap();
    std::os::unix::fs::symlink("b.tar", dir.path().join("b.tar")).unwrap();
    let error = names(&dir, &[""]).unwrap_err().to_string();
    assert!(error.starts_with("cannot open ") && error.ends_with("b.tar"), "{error}");
}

#[test]
fn compressed_tars_are_named_with_what_to_do() {
    let dir = folder(&["x/a.tar.gz", "x/b.tgz", "y/a.tar", "y/a.tar.gz", "y/c.tar.zst"]);
    let error = names(&dir, &["x"]).unwrap_err().to_string().replace(dir.path().to_str().unwrap(), "DIR");
    let expected = "DIR/x: holds no .tar file but 2 compressed, which cannot be mapped (first: DIR/x/a.tar.gz); \
        `gzip -dc < DIR/x/a.tar.gz > DIR/x/a.tar` makes a shard of it";
    assert_eq!(error, expected);
    let found = resolve(&[dir.path().join("y").to_str().unwrap()], &OpenOptions::default()).unwrap();
    assert_eq!(found.compressed, [dir.path().join("y/c.tar.zst")], "a.tar.gz was decompressed already");
}

#[test]
fn what_img2dataset_writes_beside_the_shards_is_ignored() {
    let dir = folder(&["00000.tar", "00000.parquet", "00000_stats.json", "00001.tar", "00001.parquet"]);
    for pattern in ["", "*", "0000*", "{00000..00001}.tar"] {
        assert_eq!(names(&dir, &[pattern]).unwrap(), ["00000.tar", "00001.tar"], "{pattern}");
    }
}
