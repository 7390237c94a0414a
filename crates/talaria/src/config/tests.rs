//! Tests of the configuration as a whole, from texts to typed values and messages.

mod defaults;
mod documents;
mod environment;
mod faults;
mod files;
mod lenient;
mod printing;
mod tokens;
mod upstream;
mod value_files;
mod warnings;

use std::fs;
use std::path::Path;

use super::*;

/// A configuration of one file with this text, and variables.
pub(super) fn load_text(text: &str, variables: &[(&str, &str)]) -> Result<Loaded, LoadError> {
    let directory = tempfile(text);
    let sources = Sources {
        file: Some("talaria".to_owned()),
        directories: vec![directory.clone()],
        variables: variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        ..Sources::default()
    };
    let loaded = load(&sources);
    fs::remove_dir_all(directory).unwrap();
    loaded
}

fn tempfile(text: &str) -> PathBuf {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let directory = env::temp_dir().join(format!("talaria-config-{}-{number}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("talaria.yaml"), text).unwrap();
    directory
}

/// The lines of a message, without the directory of the test's file.
fn without_directory(lines: impl Iterator<Item = String>) -> Vec<String> {
    let directory = format!("{}/talaria-config-", env::temp_dir().display());
    let name = |part: &str| part.split_once('/').map(|(_, name)| name.to_owned()).unwrap_or_default();
    lines
        .map(|line| {
            let mut parts = line.split(directory.as_str());
            let first = parts.next().unwrap_or_default().to_owned();
            parts.fold(first, |line, part| line + &name(part))
        })
        .collect()
}

fn faults(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    match load_text(text, variables) {
        Ok(_) => Vec::new(),
        Err(error) => without_directory(error.to_string().lines().map(str::to_owned)),
    }
}

fn warnings(text: &str, variables: &[(&str, &str)]) -> Vec<String> {
    let loaded = load_text(text, variables).unwrap();
    without_directory(loaded.warnings.iter().map(Warning::to_string))
}
