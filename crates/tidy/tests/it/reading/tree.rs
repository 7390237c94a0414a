//! The files of the repository: those that people write, as text.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::rust::Source;

/// What is made by tools, is not ours to word, or is no text. `testdata` and `fuzz/corpus` are inputs.
const SKIPPED: &[&str] =
    &[".git", ".tools", ".kafka", "target", "testdata", "fuzz/corpus", "fuzz/artifacts", "fuzz/coverage"];

/// The kinds of files that the rules read.
const KINDS: &[&str] = &["rs", "md", "toml", "yaml", "yml", "sh", "java", "json", "xml", "properties", "txt"];

/// A file of the repository.
pub(crate) struct File {
    /// Relative to the root of the repository, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    source: OnceLock<Source>,
}

impl File {
    pub(crate) fn new(path: impl Into<String>, text: impl Into<String>) -> Self {
        Self { path: path.into(), text: text.into(), source: OnceLock::new() }
    }

    pub(crate) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    pub(crate) fn is_markdown(&self) -> bool {
        self.path.ends_with(".md")
    }

    /// The file as Rust, split into code, comments and literals.
    pub(crate) fn source(&self) -> &Source {
        self.source.get_or_init(|| Source::new(&self.text))
    }
}

/// All files, read once for all rules, sorted by path.
pub(crate) fn files() -> &'static [File] {
    static FILES: OnceLock<Vec<File>> = OnceLock::new();
    FILES.get_or_init(|| {
        let mut files = Vec::new();
        read_folder(root(), "", &mut files);
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    })
}

/// The file of that path, if the repository has it.
pub(crate) fn file(path: &str) -> Option<&'static File> {
    let at = files().binary_search_by(|file| file.path.as_str().cmp(path)).ok()?;
    files().get(at)
}

/// The files of a folder, at any depth.
pub(crate) fn files_below(folder: &str) -> impl Iterator<Item = &'static File> {
    files()
        .iter()
        .filter(move |file| file.path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/')))
}

/// The names of the crates below `crates/`.
pub(crate) fn crates() -> Vec<&'static str> {
    let manifests = files_below("crates").filter(|file| file.path.matches('/').count() == 2);
    manifests.filter_map(|file| file.path.strip_prefix("crates/")?.strip_suffix("/Cargo.toml")).collect()
}

/// Whether the repository has a file or a folder of that path.
pub(crate) fn exists(path: &str) -> bool {
    root().join(path).exists()
}

/// Whether a developer has asked for pages to be written (`UPDATE=1`).
#[expect(clippy::disallowed_methods, reason = "a developer asks the test to write the page")]
pub(crate) fn is_updating() -> bool {
    std::env::var_os("UPDATE").is_some()
}

/// Writes a file of the repository; what was read before stays as it is.
pub(crate) fn write(path: &str, text: &str) {
    // A file that cannot be written is still not up to date, which fails the rule.
    let _ = fs::write(root().join(path), text);
}

/// The line, from 1, that holds the byte.
pub(crate) fn line_at(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}

/// `Cargo.lock`, which is no file that people write.
pub(crate) fn lock() -> &'static str {
    static LOCK: OnceLock<String> = OnceLock::new();
    LOCK.get_or_init(|| fs::read_to_string(root().join("Cargo.lock")).unwrap_or_default())
}

/// A file of `testdata`, which the rules do not read otherwise.
pub(crate) fn testdata(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_default()
}

fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    ROOT.get_or_init(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
}

fn read_folder(folder: &Path, relative: &str, files: &mut Vec<File>) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if relative.is_empty() { name.clone() } else { format!("{relative}/{name}") };
        if SKIPPED.contains(&path.as_str()) || SKIPPED.contains(&name.as_str()) {
            continue;
        }
        // A symbolic link is neither: what it points to is read where it is.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => read_folder(&entry.path(), &path, files),
            Ok(kind) if kind.is_file() && is_read(&name) => {
                if let Ok(text) = fs::read_to_string(entry.path()) {
                    files.push(File::new(path, text));
                }
            }
            _ => {}
        }
    }
}

/// Scripts have no extension.
fn is_read(name: &str) -> bool {
    name.rsplit_once('.').is_none_or(|(_, kind)| KINDS.contains(&kind)) && name != "Cargo.lock"
}
