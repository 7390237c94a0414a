//! A temporary folder for the files of a unit test.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

/// Removed with its contents when it is dropped.
pub(crate) struct TestFolder(PathBuf);

impl TestFolder {
    pub(crate) fn new() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("wrpkafka-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, file: &str) -> String {
        self.0.join(file).to_str().unwrap().to_owned()
    }

    pub(crate) fn write(&self, file: &str, content: &str) {
        std::fs::write(self.0.join(file), content).unwrap();
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        // On failure the folder is left to the system, which clears temporary files.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
