//! Notices that the configuration file has changed.
//!
//! The file's metadata are read a few times a second rather than with the notifications of the file system: this also notices a
//! symbolic link that leads elsewhere, as Kubernetes changes mounted files, and works on every file system. A file counts as
//! changed when it has been the same for two looks, so that one that is still being written is not read.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

/// How often the file's metadata are read.
pub(super) const PERIOD: Duration = Duration::from_millis(250);

/// What is seen of a file without reading it: another one has another device, inode, length or time.
type Seen = (u64, u64, u64, i64, i64);

/// What the last looks have seen.
#[derive(Debug)]
pub(super) struct Watch {
    read: Option<Seen>,
    last: Option<Seen>,
}

impl Watch {
    /// The file as it is now has been read.
    pub(super) fn new(path: Option<&Path>) -> Self {
        let seen = path.and_then(look);
        Self { read: seen, last: seen }
    }

    /// Looks at the file. Returns whether it has changed since it was read; then it counts as read. A file that is not there
    /// has not changed: it is being replaced.
    pub(super) fn has_changed(&mut self, path: Option<&Path>) -> bool {
        let seen = path.and_then(look);
        let is_settled = seen.is_some() && seen == self.last;
        self.last = seen;
        let has_changed = is_settled && seen != self.read;
        if has_changed {
            self.read = seen;
        }
        has_changed
    }
}

fn look(path: &Path) -> Option<Seen> {
    let seen = |found: Metadata| (found.dev(), found.ino(), found.len(), found.mtime(), found.mtime_nsec());
    fs::metadata(path).ok().map(seen)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("talaria-watch-{name}-{}", std::process::id()));
            fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_written_file_counts_once_and_only_when_it_has_settled() {
        let folder = Folder::new("written");
        let file = folder.0.join("talaria.yaml");
        fs::write(&file, "a: 1").unwrap();
        let mut watch = Watch::new(Some(&file));
        assert!(!watch.has_changed(Some(&file)));
        fs::write(&file, "a: 12").unwrap();
        assert!(!watch.has_changed(Some(&file)), "it may still be written");
        assert!(watch.has_changed(Some(&file)));
        assert!(!watch.has_changed(Some(&file)), "it was read");
        fs::remove_file(&file).unwrap();
        assert!(!watch.has_changed(Some(&file)) && !watch.has_changed(Some(&file)), "it is being replaced");
        fs::write(&file, "a: 123").unwrap();
        assert!(!watch.has_changed(Some(&file)) && watch.has_changed(Some(&file)));
    }

    /// A mounted ConfigMap: `talaria.yaml` → `..data/talaria.yaml`, and `..data` → a directory that is exchanged.
    #[test]
    fn a_symbolic_link_that_leads_elsewhere_counts() {
        let folder = Folder::new("linked");
        let path = |name: &str| folder.0.join(name);
        for version in ["one", "two"] {
            fs::create_dir(path(version)).unwrap();
            fs::write(path(version).join("talaria.yaml"), "a: 1").unwrap();
        }
        std::os::unix::fs::symlink("one", path("..data")).unwrap();
        std::os::unix::fs::symlink("..data/talaria.yaml", path("talaria.yaml")).unwrap();
        let file = path("talaria.yaml");
        let mut watch = Watch::new(Some(&file));
        std::os::unix::fs::symlink("two", path("..data_tmp")).unwrap();
        fs::rename(path("..data_tmp"), path("..data")).unwrap();
        assert!(!watch.has_changed(Some(&file)) && watch.has_changed(Some(&file)));
    }
}
