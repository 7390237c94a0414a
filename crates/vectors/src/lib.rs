//! The test vectors: thousands of cases made by calling the reference's libraries, one JSON file a subject.
//!
//! They are read from every folder that the environment variable `WRP_VECTORS` names (separated by `:`), and from
//! `testdata/vectors` in the workspace if there is none or none has the file. For tests only.
//!
//! ```
//! vectors::run("message_types.json", |case| match case.value["name"].as_str() {
//!     Some(name) if name == case.name => Ok(()),
//!     other => Err(format!("the name reads as {other:?}")),
//! });
//! ```

mod notation;

use std::fmt::{self, Write as _};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

pub use notation::{bytes, hex, message};

/// One case of a file of vectors.
#[derive(Debug, Clone)]
pub struct Case {
    /// What the case is called.
    pub name: String,
    /// The whole case; its shape is told by the file's `about`.
    pub value: Value,
    /// The file that it is from.
    pub file: PathBuf,
}

impl Case {
    /// Whether it shows an accident of the reference, and no test of ours can know of it.
    fn is_foreign_quirk(&self) -> bool {
        self.value.get("quirk").is_some() && self.is_foreign()
    }

    /// Whether it comes from a folder outside the tree.
    fn is_foreign(&self) -> bool {
        !self.file.starts_with(own_folder())
    }
}

/// All cases of a file, from all folders.
///
/// # Panics
/// If no folder has the file, or one cannot be read.
pub fn cases(file: &str) -> Vec<Case> {
    folders_with(file).iter().flat_map(|path| read(path)).collect()
}

/// Checks every case of a file, prints how many there were, and only then fails, with all that went wrong.
///
/// # Panics
/// If a check fails.
pub fn run(file: &str, check: impl FnMut(&Case) -> Result<(), String>) {
    run_except(file, &[], check);
}

/// As [`run`], for a subject in which some cases are decided otherwise than the reference does: `otherwise` lists their
/// names, each with the reason. A listed case of the tree that passes
/// nevertheless is a failure, so that the list stays true.
///
/// A case that is not from the tree and marked `quirk` need not be listed: it is counted and named.
///
/// # Panics
/// If a check fails, or a listed one does not.
#[expect(clippy::panic, reason = "this is a test's assertion")]
pub fn run_except(
    file: &str,
    otherwise: &[(&str, &str)],
    mut check: impl FnMut(&Case) -> Result<(), String>,
) {
    let cases = cases(file);
    let (mut failed, mut listed) = (0, 0);
    let mut report = String::new();
    for case in &cases {
        let reason = otherwise.iter().find(|(name, _)| *name == case.name).map(|(_, reason)| reason);
        let failure = match (check(case), reason) {
            (Ok(()), None) => continue,
            // Another case of that name.
            (Ok(()), Some(_)) if case.is_foreign() => continue,
            (Err(_), Some(_)) => {
                listed += 1;
                continue;
            }
            (Err(failure), None) if case.is_foreign_quirk() => {
                listed += 1;
                tell(format_args!("vectors {file}: quirk decided otherwise: {}: {failure}", case.name));
                continue;
            }
            (Err(failure), None) => failure,
            (Ok(()), Some(reason)) => format!("matches, though it is listed as decided otherwise: {reason}"),
        };
        failed += 1;
        let _ = writeln!(report, "  {}: {failure}", case.name);
    }
    announce(file, &cases);
    if listed > 0 {
        tell(format_args!("vectors {file}: {listed} of them decided otherwise"));
    }
    if failed > 0 {
        panic!("vectors {file}: {failed} of {} cases failed\n{report}", cases.len());
    }
}

/// Says how many cases of a file a test holds: for those that cannot be run one after the other by [`run`].
pub fn announce(file: &str, cases: &[Case]) {
    tell(format_args!("vectors {file}: {} cases", cases.len()));
}

/// Says a line on stdout, past the test runner, which keeps to itself what passing tests print.
fn tell(line: fmt::Arguments<'_>) {
    // Nobody who reads it: nothing to be done, and no reason to fail.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Compares what a case expects with what came out, for use in a check.
///
/// # Errors
/// Shows both sides if they differ.
pub fn same<T: PartialEq + fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{what}\n    expected {expected:?}\n    got      {got:?}"))
}

#[expect(clippy::panic, reason = "a test without its vectors must not pass")]
fn folders_with(file: &str) -> Vec<PathBuf> {
    let named = std::env::var("WRP_VECTORS").unwrap_or_default();
    let named =
        named.split(':').filter(|folder| !folder.is_empty()).map(|folder| Path::new(folder).join(file));
    let found: Vec<PathBuf> = named.filter(|path| path.is_file()).collect();
    if !found.is_empty() {
        return found;
    }
    let own = own_folder().join(file);
    if !own.is_file() {
        panic!("no {file} in the folders of WRP_VECTORS, nor in testdata/vectors");
    }
    vec![own]
}

fn own_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/vectors")
}

#[expect(clippy::panic, reason = "a test without its vectors must not pass")]
fn read(path: &Path) -> Vec<Case> {
    let text = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let document: Value =
        serde_json::from_slice(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let cases =
        document["cases"].as_array().unwrap_or_else(|| panic!("{}: no list of cases", path.display()));
    cases
        .iter()
        .map(|value| Case {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            value: value.clone(),
            file: path.to_owned(),
        })
        .collect()
}
