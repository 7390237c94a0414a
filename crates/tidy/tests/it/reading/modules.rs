//! The modules of a crate, found as the compiler finds them: by the `mod` declarations, from `lib.rs` and `main.rs` on.

use std::collections::BTreeMap;

use super::imports::{Used, uses};
use super::rust::{first_word, is_word, words};
use super::tree::{self, File};

/// The modules of one crate, those of its library and those of its binary.
pub(crate) struct Modules {
    /// The crate's name in paths.
    pub(crate) krate: String,
    /// By path: `[]` is the root, `["engine", "worker"]` is `crate::engine::worker`.
    by_path: BTreeMap<Vec<String>, Module>,
}

/// A module that has a file of its own.
pub(crate) struct Module {
    pub(crate) path: Vec<String>,
    pub(crate) file: &'static File,
    /// Whether it is compiled for tests only.
    pub(crate) is_test: bool,
    /// The modules declared in it, each with a file of its own.
    pub(crate) children: Vec<String>,
    /// The names that its `use` declarations bring in, in code that is not only for tests.
    pub(crate) used: Vec<Used>,
}

impl Modules {
    pub(crate) fn of(krate: &str) -> Self {
        let mut modules = Self { krate: krate.replace('-', "_"), by_path: BTreeMap::new() };
        let source = format!("crates/{krate}/src");
        // The library comes last: where there is one, it is what `crate::` and `krate::` mean.
        for root in ["main", "lib"].iter().filter_map(|name| tree::file(&format!("{source}/{name}.rs"))) {
            modules.read(root, &source, Vec::new(), false);
        }
        modules
    }

    pub(crate) fn get(&self, path: &[String]) -> Option<&Module> {
        self.by_path.get(path)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Module> {
        self.by_path.values()
    }

    /// The modules that the program is made of.
    pub(crate) fn production(&self) -> impl Iterator<Item = &Module> {
        self.iter().filter(|module| !module.is_test)
    }

    /// The module with the longest path that `path` begins with, and how many names of `path` it takes.
    pub(crate) fn deepest(&self, path: &[String]) -> Option<(&Module, usize)> {
        (0..=path.len()).rev().find_map(|taken| Some((self.get(&path[..taken])?, taken)))
    }

    fn read(&mut self, file: &'static File, folder: &str, path: Vec<String>, is_test: bool) {
        let mut children = Vec::new();
        for (name, offset) in declarations(&file.source().code) {
            let mut child = path.clone();
            child.push(name.to_owned());
            let below = format!("{folder}/{name}");
            let found = tree::file(&format!("{below}.rs")).or_else(|| tree::file(&format!("{below}/mod.rs")));
            if let Some(found) = found {
                children.push(name.to_owned());
                self.read(found, &below, child, is_test || file.source().is_test(offset));
            }
        }
        let used = uses(&file.source().production);
        self.by_path.insert(path.clone(), Module { path, file, is_test, children, used });
    }
}

impl Module {
    /// As one writes it: `crate::engine::worker`.
    pub(crate) fn name(&self) -> String {
        std::iter::once("crate").chain(self.path.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
    }
}

/// The names in `mod name;`, each with its offset.
fn declarations(code: &str) -> impl Iterator<Item = (&str, usize)> {
    words(code, "mod").filter_map(|at| {
        let name = code[at + "mod".len()..].trim_start();
        let word = first_word(name);
        let is_declaration = !word.is_empty() && name[word.len()..].trim_start().starts_with(';');
        is_declaration.then_some((word, at))
    })
}

/// Whether the word at `at` continues a path or is a field or a method: `a::word`, `a.word`.
pub(crate) fn is_continued(code: &str, at: usize) -> bool {
    let before = code[..at].trim_end();
    before.ends_with("::") || before.ends_with('.') || code[..at].chars().next_back().is_some_and(is_word)
}
