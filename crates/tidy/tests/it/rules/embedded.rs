//! A crate embeds files of its own folder only.
//!
//! So a file that a user writes elsewhere, such as a `talaria.yaml` at the root of the repository, changes no build, and a
//! packaged crate has all that it embeds. Tests are not part of a build and may read from everywhere.

use crate::findings::Findings;
use crate::reading::tree::{self, File};

const EMBEDDING: &[&str] = &["include_str!(\"", "include_bytes!(\""];

#[test]
fn each_embedded_file_is_in_the_folder_of_its_crate() -> Result<(), Findings> {
    let mut findings = Findings::of("embedded files");
    let is_source = |file: &&File| file.is_rust() && file.path.contains("/src/") && !is_test(&file.path);
    for file in tree::files_below("crates").filter(is_source) {
        for (number, line) in file.text.lines().enumerate() {
            let paths = EMBEDDING.iter().filter_map(|start| line.split_once(start)?.1.split('"').next());
            for path in paths.filter(|path| leaves_its_crate(&file.path, path)) {
                let what = format!(
                    "{path} is outside of the crate: move it there, so that a build depends on nothing else"
                );
                findings.add(&file.path, number + 1, what);
            }
        }
    }
    findings.outcome()
}

fn is_test(path: &str) -> bool {
    path.ends_with("tests.rs") || path.contains("/tests/")
}

/// `crates/<name>/src/…` is left by as many steps upwards as there are folders below `crates/<name>`, and one more.
fn leaves_its_crate(source: &str, path: &str) -> bool {
    let folders_below_crate = source.split('/').count() - 3;
    path.split('/').filter(|part| *part == "..").count() > folders_below_crate
}

#[test]
fn a_path_that_leaves_the_crate_is_found() {
    assert!(!leaves_its_crate("crates/talaria/src/config/sample.rs", "../../defaults.yaml"));
    assert!(leaves_its_crate("crates/talaria/src/config/sample.rs", "../../../x.yaml"));
}
