//! Lists the images below a folder with several threads, which wait in parallel where access to a file is slow, as on a
//! network.

use std::collections::HashSet;
use std::fs::{self, DirEntry, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;

use super::find::{holds_image, is_plain};
use super::path;
use crate::shards::mapping::mtime_ns;
use crate::shards::{FindingKind, ShardError, name};
use crate::sources::is_shards_extension;

/// Threads that look at files, where there are fewer cores.
const THREADS: usize = 16;
/// Entries that one thread looks at before another may take some.
const ENTRIES_A_TASK: usize = 2048;

/// All that lies below a folder.
#[derive(Debug)]
pub(super) struct Listing {
    /// The root first.
    folders: Vec<ListedFolder>,
}

/// One folder, and what lies in it.
#[derive(Debug, Default)]
pub(super) struct ListedFolder {
    /// Below the root, with `/` between folders; empty for the root.
    pub(super) path: Vec<u8>,
    /// When it was last changed, as it was before it was listed.
    pub(super) mtime_ns: i64,
    /// Sorted by name.
    children: Vec<Child>,
    findings: Vec<(FindingKind, Vec<u8>, String)>,
}

#[derive(Debug)]
struct Child {
    name: Box<[u8]>,
    what: What,
}

#[derive(Debug)]
enum What {
    Image {
        length: u32,
    },
    /// Its place among the folders.
    Folder(usize),
}

impl Listing {
    pub(super) fn folders(&self) -> &[ListedFolder] {
        &self.folders
    }

    /// Every image with its path and its size, in the order of names, folder by folder.
    pub(super) fn each_image(&self, mut image: impl FnMut(&[u8], u32)) {
        let mut path = Vec::new();
        // Folders that are under way, and how many of their children are done.
        let mut stack = vec![(0, 0)];
        while let Some((folder, done)) = stack.last_mut() {
            let listed = &self.folders[*folder];
            path.truncate(0);
            path.extend(&listed.path);
            if !path.is_empty() {
                path.push(b'/');
            }
            let within = path.len();
            let mut deeper = None;
            for child in &listed.children[*done..] {
                *done += 1;
                match child.what {
                    What::Image { length } => {
                        path.truncate(within);
                        path.extend(&child.name);
                        image(&path, length);
                    }
                    What::Folder(place) => {
                        deeper = Some(place);
                        break;
                    }
                }
            }
            match deeper {
                Some(place) => stack.push((place, 0)),
                None => drop(stack.pop()),
            }
        }
    }

    pub(super) fn each_finding(&self, mut finding: impl FnMut(FindingKind, &[u8], &str)) {
        for (kind, name, found) in self.folders.iter().flat_map(|folder| &folder.findings) {
            finding(*kind, name, found);
        }
    }
}

/// Lists everything below `root`. Names that begin with a dot are passed over, as in a shell; links are followed, each folder once.
pub(super) fn list(root: &Path, threads: usize) -> Result<Listing, ShardError> {
    let failed = ShardError::io("list", root);
    let real = fs::canonicalize(root).map_err(ShardError::io("list", root))?;
    let walk = Walk {
        root: root.to_owned(),
        real: real.clone(),
        state: Mutex::new(State {
            folders: vec![ListedFolder::default()],
            tasks: vec![Task::List(0)],
            running: 0,
            linked: HashSet::from([real]),
            failed: None,
        }),
        changed: Condvar::new(),
    };
    thread::scope(|scope| {
        for number in 1..threads.max(THREADS) {
            let builder = thread::Builder::new().name(format!("list-{number}"));
            if builder.spawn_scoped(scope, || walk.work()).is_err() {
                break;
            }
        }
        walk.work();
    });
    let State { mut folders, failed: root_failed, .. } =
        walk.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if let Some(error) = root_failed {
        return Err(failed(error));
    }
    for folder in &mut folders {
        folder.children.sort_unstable_by(|one, another| one.name.cmp(&another.name));
    }
    Ok(Listing { folders })
}

struct Walk {
    root: PathBuf,
    /// The root without links.
    real: PathBuf,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    folders: Vec<ListedFolder>,
    tasks: Vec<Task>,
    /// Tasks that a thread has in hand.
    running: usize,
    /// Real paths of folders that links led to.
    linked: HashSet<PathBuf>,
    /// Why the root cannot be listed.
    failed: Option<io::Error>,
}

enum Task {
    /// The folder at this place.
    List(usize),
    /// Entries of the folder at this place.
    Look(usize, Vec<DirEntry>),
}

/// What became of an entry.
enum Seen {
    Image(u32),
    Folder,
    Found(FindingKind, String),
    Nothing,
}

impl Walk {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes tasks until there are none and none can come.
    fn work(&self) {
        let mut state = self.lock();
        loop {
            if let Some(task) = state.tasks.pop() {
                state.running += 1;
                drop(state);
                match task {
                    Task::List(folder) => self.list_folder(folder),
                    Task::Look(folder, entries) => self.look_at(folder, entries),
                }
                state = self.lock();
                state.running -= 1;
                self.changed.notify_all();
            } else if state.running == 0 {
                return;
            } else {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }

    fn list_folder(&self, folder: usize) {
        let below = self.lock().folders[folder].path.clone();
        let place = self.root.join(path::of(&below));
        let listed =
            fs::metadata(&place).and_then(|metadata| Ok((mtime_ns(&metadata), fs::read_dir(&place)?)));
        let (mtime, entries) = match listed {
            Ok(listed) => listed,
            Err(error) => return self.unlisted(folder, below, error),
        };
        self.lock().folders[folder].mtime_ns = mtime;
        let mut some = Vec::new();
        for entry in entries {
            match entry {
                Ok(entry) => some.push(entry),
                Err(error) => return self.unlisted(folder, below, error),
            }
            if some.len() == ENTRIES_A_TASK {
                self.lock().tasks.push(Task::Look(folder, std::mem::take(&mut some)));
                self.changed.notify_one();
            }
        }
        self.look_at(folder, some);
    }

    fn unlisted(&self, folder: usize, below: Vec<u8>, error: io::Error) {
        let mut state = self.lock();
        if folder == 0 {
            state.failed = Some(error);
        } else {
            state.folders[folder].findings.push((FindingKind::Unreadable, below, error.to_string()));
        }
    }

    fn look_at(&self, folder: usize, entries: Vec<DirEntry>) {
        let mut seen: Vec<(Box<[u8]>, Seen)> = entries
            .into_iter()
            .map(|entry| {
                let what = self.look(&entry);
                (path::bytes(&entry.file_name()).into(), what)
            })
            .filter(|(_, seen)| !matches!(seen, Seen::Nothing))
            .collect();
        // A fixed order of folders gives the same index each time.
        seen.sort_unstable_by(|(one, _), (another, _)| one.cmp(another));
        let mut state = self.lock();
        let parent = state.folders[folder].path.clone();
        let within = |name: &[u8]| match &parent[..] {
            [] => name.to_vec(),
            parent => [parent, b"/", name].concat(),
        };
        for (name, seen) in seen {
            let what = match seen {
                Seen::Image(length) => What::Image { length },
                Seen::Folder => {
                    let place = state.folders.len();
                    state.folders.push(ListedFolder { path: within(&name), ..ListedFolder::default() });
                    state.tasks.push(Task::List(place));
                    What::Folder(place)
                }
                Seen::Found(kind, found) => {
                    state.folders[folder].findings.push((kind, within(&name), found));
                    continue;
                }
                Seen::Nothing => continue,
            };
            state.folders[folder].children.push(Child { name, what });
        }
        self.changed.notify_all();
    }

    fn look(&self, entry: &DirEntry) -> Seen {
        let file_name = entry.file_name();
        let file_name = path::bytes(&file_name);
        let extension = name::without_extension(file_name).1;
        if file_name.starts_with(b".") {
            // Those of macOS's `._x.jpg` are no images.
            let is_image = name::is_image(extension) && !file_name.starts_with(b"._");
            return if is_image {
                Seen::Found(FindingKind::HiddenName, String::new())
            } else {
                Seen::Nothing
            };
        }
        let unreadable = |error: io::Error| Seen::Found(FindingKind::Unreadable, error.to_string());
        let kind = match entry.file_type() {
            Ok(kind) => kind,
            Err(error) => return unreadable(error),
        };
        if kind.is_dir() {
            return Seen::Folder;
        }
        let is_image = name::is_image(extension);
        let is_plain = is_plain(extension);
        if kind.is_file() && !is_image && !is_plain {
            return match name::unread_format(extension) {
                Some(format) => Seen::Found(FindingKind::UnreadFormat, format),
                None if is_shards_extension(path::of(extension).as_os_str()) => {
                    Seen::Found(FindingKind::AmongImages, String::new())
                }
                None => Seen::Nothing,
            };
        }
        let metadata = if kind.is_symlink() { fs::metadata(entry.path()) } else { entry.metadata() };
        match metadata {
            Ok(metadata) if metadata.is_dir() => self.look_behind_link(&entry.path()),
            Ok(metadata) if metadata.is_file() && (!is_plain || holds_image(&entry.path())) => {
                image(&metadata)
            }
            Ok(_) => Seen::Nothing,
            Err(error) if is_image => unreadable(error),
            Err(_) => Seen::Nothing,
        }
    }

    /// What lies in the root is read where it lies, and everything once.
    fn look_behind_link(&self, link: &Path) -> Seen {
        match fs::canonicalize(link) {
            Ok(real) if real.starts_with(&self.real) || self.real.starts_with(&real) => Seen::Nothing,
            Ok(real) => {
                let is_new = self.lock().linked.insert(real);
                if is_new { Seen::Folder } else { Seen::Nothing }
            }
            Err(error) => Seen::Found(FindingKind::Unreadable, error.to_string()),
        }
    }
}

fn image(metadata: &Metadata) -> Seen {
    match u32::try_from(metadata.len()) {
        Ok(length) if length < u32::MAX => Seen::Image(length),
        _ => Seen::Found(FindingKind::UnreadFormat, "4 GiB or more".into()),
    }
}
