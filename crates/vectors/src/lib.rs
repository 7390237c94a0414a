//! Reads the test vectors: thousands of cases that were recorded by calling the reference's libraries, one JSON file for
//! each subject. For tests only.
//!
//! The environment variable `WRP_VECTORS` names folders to read, separated by `:`. If it is not set, or none of its folders
//! has the file, the file is read from `testdata/vectors` in the workspace.
//!
//! What a case means is up to the test that reads it: see [`run`]. The notation of bytes and messages is in `notation.rs`.
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
    /// The name, by which tests list a case as an exception.
    pub name: String,
    /// The whole case. The file's `about` describes its members.
    pub value: Value,
    /// The path of the file that the case is from.
    pub file: PathBuf,
}

impl Case {
    /// Whether the case is marked as an accident of the reference and is not in the tree, so that no test can list it.
    fn is_foreign_quirk(&self) -> bool {
        self.value.get("quirk").is_some() && self.is_foreign()
    }

    /// Whether the case is from a folder of `WRP_VECTORS` outside the tree.
    fn is_foreign(&self) -> bool {
        !self.file.starts_with(own_folder())
    }
}

/// Reads all cases of a file, from each folder that has it.
///
/// # Panics
/// If no folder has the file, or it cannot be read.
#[must_use]
pub fn cases(file: &str) -> Vec<Case> {
    folders_with(file).iter().flat_map(|path| read(path)).collect()
}

/// Checks each case of a file and prints the number of cases.
///
/// # Panics
/// If a check fails: after all cases were checked, with a list of those that failed.
pub fn run(file: &str, check: impl FnMut(&Case) -> Result<(), String>) {
    run_except(file, &[], check);
}

/// Does the same as [`run`], for a subject in which we deliberately differ from the reference: `exceptions` lists the names
/// of these cases, each with the reason. A listed case must fail its check, so that the list stays true.
///
/// A case marked `quirk` that is not from the tree need not be listed: if it fails, it is printed and counted.
///
/// # Panics
/// If a check fails, or the check of a listed case passes.
#[expect(clippy::panic, reason = "this is a test's assertion")]
pub fn run_except(
    file: &str,
    exceptions: &[(&str, &str)],
    mut check: impl FnMut(&Case) -> Result<(), String>,
) {
    let cases = cases(file);
    let (mut failed, mut excepted) = (0, 0);
    let mut report = String::new();
    for case in &cases {
        let reason = exceptions.iter().find(|(name, _)| *name == case.name).map(|(_, reason)| reason);
        let failure = match (check(case), reason) {
            (Ok(()), None) => continue,
            // The list is about the cases in the tree; this one only has the same name.
            (Ok(()), Some(_)) if case.is_foreign() => continue,
            (Err(_), Some(_)) => {
                excepted += 1;
                continue;
            }
            (Err(failure), None) if case.is_foreign_quirk() => {
                excepted += 1;
                print(format_args!(
                    "vectors {file}: differs from a quirk of the reference: {}: {failure}",
                    case.name
                ));
                continue;
            }
            (Err(failure), None) => failure,
            (Ok(()), Some(reason)) => {
                format!("matches the reference, although it is listed as an exception: {reason}")
            }
        };
        failed += 1;
        let _ = writeln!(report, "  {}: {failure}", case.name);
    }
    announce(file, &cases);
    if excepted > 0 {
        print(format_args!("vectors {file}: {excepted} of them differ from the reference on purpose"));
    }
    if failed > 0 {
        panic!("vectors {file}: {failed} of {} cases failed\n{report}", cases.len());
    }
}

/// Prints the number of cases of a file. [`run`] does so itself; a test that reads its [`cases`] in another way calls this.
pub fn announce(file: &str, cases: &[Case]) {
    print(format_args!("vectors {file}: {} cases", cases.len()));
}

/// Prints a line to stdout itself: the test harness would capture what `println!` prints in a test that passes.
fn print(line: fmt::Arguments<'_>) {
    // A closed stdout is no reason for a test to fail.
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// Compares the expected value of a case with the actual one, for use in a check.
///
/// # Errors
/// If they differ, with both values.
pub fn same<T: PartialEq + fmt::Debug>(what: &str, expected: &T, got: &T) -> Result<(), String> {
    if expected == got {
        return Ok(());
    }
    Err(format!("{what}\n    expected {expected:?}\n    got      {got:?}"))
}

#[expect(clippy::panic, reason = "a test without its vectors must not pass")]
#[expect(clippy::disallowed_methods, reason = "the variable is for the tests, not a setting")]
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
        panic!("{file} is neither in a folder of WRP_VECTORS nor in testdata/vectors");
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
    let cases = document["cases"].as_array().unwrap_or_else(|| panic!("{}: no list `cases`", path.display()));
    cases
        .iter()
        .map(|value| Case {
            name: value["name"].as_str().unwrap_or_default().to_owned(),
            value: value.clone(),
            file: path.to_owned(),
        })
        .collect()
}
