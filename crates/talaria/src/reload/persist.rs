//! Keeps the document that an operator has set (`config.persist`), so that it is in effect after a restart, too.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

/// The document cannot be kept. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("config.persist: cannot write {}: {error}", path.display())]
pub struct PersistError {
    path: PathBuf,
    error: io::Error,
}

/// What is kept of a change.
pub(super) enum Persist {
    /// Nothing: it comes from the files, or no file is named.
    Nothing,
    /// Nothing, and the change is not made either.
    DryRun,
    /// The document, in this file.
    Write(PathBuf, serde_json::Value),
    /// This file is removed.
    Remove(PathBuf),
}

impl Persist {
    pub(super) fn make(self) -> Result<(), PersistError> {
        let (path, made) = match self {
            Self::Nothing | Self::DryRun => return Ok(()),
            Self::Write(path, document) => {
                let made = write(&path, &document.to_string());
                (path, made)
            }
            Self::Remove(path) => {
                let made = match fs::remove_file(&path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                    made => made,
                };
                (path, made)
            }
        };
        made.map_err(|error| PersistError { path, error })
    }
}

/// Writes a file that only this user may read, as a whole or not at all.
fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let mut options = fs::OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&beside, path)
}
