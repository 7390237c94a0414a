//! Why the log cannot start.

use std::path::PathBuf;

/// Why the log cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An output file cannot be opened.
    #[error("cannot open the log file {path}: {source}")]
    Open {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The thread of an output cannot be started.
    #[error("cannot start a thread for the log: {0}")]
    Thread(std::io::Error),
    /// The process already has a log.
    #[error("the log is already started")]
    AlreadyStarted,
}
