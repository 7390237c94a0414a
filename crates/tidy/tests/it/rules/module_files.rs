//! How modules are laid out: a doc at the top, a size that can be read at once, `foo.rs` with `foo/`, and a name that
//! says what is in it.

use crate::findings::Findings;
use crate::reading::modules::Modules;
use crate::reading::tree::{self, File};

const MOST_LINES: usize = 450;

/// Names that say nothing: whatever is put there has a name of its own.
const EMPTY_NAMES: &[&str] = &["util", "utils", "common", "helper", "helpers", "misc", "shared", "stuff"];

/// The fewest words that a module's doc has.
const FEWEST_WORDS: usize = 4;

#[test]
fn each_module_begins_with_a_doc() -> Result<(), Findings> {
    let mut findings = Findings::of("module docs");
    for file in sources() {
        let first: Vec<&str> = file.text.lines().take_while(|line| line.starts_with("//!")).collect();
        let words = first.iter().flat_map(|line| line.trim_start_matches("//!").split_whitespace()).count();
        if words < FEWEST_WORDS {
            let what =
                "begins without a `//!` doc: say what the module is for and what it deliberately does not do";
            findings.add(&file.path, 1, what);
        }
    }
    findings.outcome()
}

#[test]
fn no_file_is_too_long_to_be_read_at_once() -> Result<(), Findings> {
    let mut findings = Findings::of("file length");
    for file in tree::files().iter().filter(|file| file.is_rust()) {
        let lines = file.text.lines().count();
        if lines > MOST_LINES {
            let what = format!("{lines} lines, at most {MOST_LINES}: split it by concept");
            findings.add(&file.path, lines, what);
        }
    }
    findings.outcome()
}

#[test]
fn modules_are_named_for_what_is_in_them() -> Result<(), Findings> {
    let mut findings = Findings::of("module names");
    for file in tree::files().iter().filter(|file| file.is_rust()) {
        let name = file.path.rsplit('/').next().unwrap_or_default().trim_end_matches(".rs");
        if name == "mod" {
            findings.add(&file.path, 1, "no mod.rs: name the file after its folder, beside it");
        }
        if EMPTY_NAMES.contains(&name) {
            findings.add(
                &file.path,
                1,
                format!("`{name}` says nothing: name the module for the one concept in it"),
            );
        }
    }
    findings.outcome()
}

#[test]
fn each_source_file_belongs_to_a_module() -> Result<(), Findings> {
    let mut findings = Findings::of("modules");
    for krate in tree::crates() {
        let modules = Modules::of(krate);
        for file in sources().filter(|file| file.path.starts_with(&format!("crates/{krate}/"))) {
            let is_root = file.path.ends_with("src/main.rs") || file.path.contains("/src/bin/");
            if !is_root && !modules.iter().any(|module| module.file.path == file.path) {
                findings.add(&file.path, 1, "no `mod` declaration leads here: declare it or delete it");
            }
        }
    }
    findings.outcome()
}

/// The sources of all crates, without their tests, benches and examples.
fn sources() -> impl Iterator<Item = &'static File> {
    let is_source = |path: &str| path.split('/').nth(2) == Some("src") || path.starts_with("fuzz/src/");
    tree::files().iter().filter(move |file| file.is_rust() && is_source(&file.path))
}
