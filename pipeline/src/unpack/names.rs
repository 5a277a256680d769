//! The paths of images: valid file names below the target for any key.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};

use crate::shards::ShardSet;

/// Longest name of a class's folder, in bytes; file systems end at 255.
const MAX_FOLDER_NAME: usize = 200;

/// The folders of the classes.
pub(super) struct Names {
    /// By label. None where the class's name cannot be a folder of its own.
    folders: Vec<Option<String>>,
    /// Digits of a label, so that the numbers sort as the labels do.
    digits: usize,
}

/// Where an image goes.
pub(super) struct Place {
    /// Below the target.
    pub(super) path: PathBuf,
    /// Whether the key could not be its name.
    pub(super) is_changed: bool,
}

impl Names {
    pub(super) fn new(set: &ShardSet) -> Names {
        let last_label = (0..set.len()).filter_map(|sample| set.label(sample)).max();
        Self::of(set.class_names().unwrap_or_default(), last_label)
    }

    fn of(classes: &[String], last_label: Option<u32>) -> Names {
        let mut times: HashMap<&str, u32> = HashMap::new();
        classes.iter().for_each(|class| *times.entry(class).or_default() += 1);
        let is_a_folder = |class: &&String| {
            class.len() <= MAX_FOLDER_NAME && file_name(class) == **class && times[class.as_str()] == 1
        };
        let folders = classes.iter().map(|class| Some(class).filter(is_a_folder).cloned()).collect();
        let digits = last_label.unwrap_or(0).to_string().len();
        Names { folders, digits }
    }

    pub(super) fn place(&self, key: &str, extension: &str, label: Option<u32>) -> Place {
        let parts: Vec<&str> = key.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
        let (base, folders) = parts.split_last().unwrap_or((&"", &[]));
        let name = file_name(&format!("{}.{extension}", file_name(base)));
        let names: Vec<String> = folders.iter().copied().map(file_name).chain([name]).collect();
        let wanted = folders.iter().map(|folder| (*folder).to_owned()).chain([format!("{base}.{extension}")]);
        let is_changed = !wanted.eq(names.iter().cloned());
        let path = match label.map(|label| self.folder(label)) {
            // In a folder it would be taken for an image of a class.
            None => names.join("_").into(),
            Some(class) if names[0] == class && names.len() > 1 => names.iter().collect(),
            Some(class) => [class].iter().chain(&names).collect(),
        };
        Place { path, is_changed }
    }

    /// The name of its class where that can be a folder of its own, else the label.
    fn folder(&self, label: u32) -> String {
        let named = usize::try_from(label).ok().and_then(|label| self.folders.get(label)?.clone());
        named.unwrap_or_else(|| {
            let number = format!("{label:0digits$}", digits = self.digits);
            let is_taken = self.folders.iter().flatten().any(|folder| *folder == number);
            if is_taken { format!("label-{number}") } else { number }
        })
    }
}

/// The name itself where it is that of a file in its folder and doesn't hide; otherwise one like it that is.
fn file_name(name: &str) -> String {
    let visible = name.trim_start_matches('.');
    let dots = "_".repeat(name.len() - visible.len());
    let mut name = format!("{dots}{visible}").replace(char::is_control, "_");
    if name.is_empty() {
        name.push('_');
    }
    let mut components = Path::new(&name).components();
    match (components.next(), components.next()) {
        (Some(Component::Normal(only)), None) if only == name.as_str() => name,
        _ => name.replace(['/', '\\', ':'], "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(names: &Names, key: &str, label: Option<u32>) -> (String, bool) {
        let Place { path, is_changed } = names.place(key, "jpg", label);
        (path.to_str().unwrap().to_owned(), is_changed)
    }

    #[test]
    fn a_class_has_a_folder_of_its_own() {
        let classes = ["cat", "a/b", "dog", "..", "dog", "", ".git", "7"].map(str::to_owned);
        let names = Names::of(&classes, Some(10));
        let folders: Vec<String> = (0..=10).map(|label| names.folder(label)).collect();
        assert_eq!(folders, ["cat", "01", "02", "03", "04", "05", "06", "7", "08", "09", "10"]);
        let names = Names::of(&["2", "1", "x".repeat(300).as_str()].map(str::to_owned), Some(2));
        assert_eq!(names.folder(2), "label-2", "label 0 is class 2");
    }

    #[test]
    fn a_key_below_its_class_is_not_put_there_twice() {
        let names = Names::of(&["cat".to_owned(), "dog".to_owned()], Some(1));
        assert_eq!(place(&names, "cat/sub/x", Some(0)), ("cat/sub/x.jpg".into(), false));
        assert_eq!(place(&names, "cat/sub/x", Some(1)), ("dog/cat/sub/x.jpg".into(), false));
        assert_eq!(place(&names, "./0001", Some(1)), ("dog/0001.jpg".into(), false));
        assert_eq!(place(&names, "cat/sub/x", None), ("cat_sub_x.jpg".into(), false));
    }

    #[test]
    fn no_key_leads_out() {
        let names = Names::of(&["cat".to_owned()], Some(0));
        for (key, path) in [
            ("../../etc/passwd", "cat/__/__/etc/passwd.jpg"),
            ("/etc/passwd", "cat/etc/passwd.jpg"),
            ("cat/../../x", "cat/__/__/x.jpg"),
            ("cat/...", "cat/___.jpg"),
            ("a//./b", "cat/a/b.jpg"),
            ("a\0b\n", "cat/a_b_.jpg"),
            (".hidden/x", "cat/_hidden/x.jpg"),
            ("", "cat/_.jpg"),
        ] {
            assert_eq!(place(&names, key, Some(0)).0, path, "{key:?}");
        }
        assert_eq!(place(&names, "../x", None), ("___x.jpg".into(), true));
        assert_eq!(names.place("a", "../b/jpg", Some(0)).path, Path::new("cat/a..._b_jpg"));
    }
}
