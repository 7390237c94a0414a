//! Finds and reads the configuration file (contract §9.1). Its content is parsed in `yaml`.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

/// The base name of the file if none is given.
pub const DEFAULT_NAME: &str = "talaria";

/// The extensions that may be left out of a name.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// The largest file that is read, in bytes: a guard against a device or a pipe that was named by mistake.
const LARGEST: u64 = 16 << 20;

/// Why the configuration file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file is in none of the directories.
    #[error(
        "no configuration file {name:?} (.yaml, .yml or .json) in {}; name one with --file, and use an empty file for the defaults",
        shown(.searched)
    )]
    NotFound {
        /// The base name or path that was searched.
        name: String,
        /// The directories in which it was searched.
        searched: Vec<PathBuf>,
    },
    /// An absolute path at which there is no file.
    #[error(
        "no configuration file at {}, nor with .yaml, .yml or .json at the end of its name: {reason}",
        path.display()
    )]
    NotAt {
        /// The path.
        path: PathBuf,
        /// What is wrong with the path itself.
        reason: String,
    },
    /// The file exists but cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

/// The directories in which a file is searched, in order: `/etc/talaria`, `$HOME/.talaria`, `.`.
#[must_use]
pub fn search_path(home: Option<&Path>) -> Vec<PathBuf> {
    [Some(PathBuf::from("/etc/talaria")), home.map(|home| home.join(".talaria")), Some(PathBuf::from("."))]
        .into_iter()
        .flatten()
        .collect()
}

/// Finds a file by its base name in the directories, or by its path; the extension may be left out.
///
/// # Errors
/// [`FileError::NotFound`], and [`FileError::NotAt`] for an absolute path.
pub fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf, FileError> {
    // A path is tried relative to the working directory before the directories are searched.
    let is_path = name.contains('/')
        || Path::new(name)
            .extension()
            .is_some_and(|ending| EXTENSIONS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    let here = is_path.then(PathBuf::new);
    here.iter()
        .chain(directories)
        .flat_map(|directory| spellings(&directory.join(name)))
        .find(|path| path.metadata().is_ok_and(|found| !found.is_dir()))
        .ok_or_else(|| {
            if Path::new(name).is_absolute() {
                return not_at(PathBuf::from(name));
            }
            FileError::NotFound { name: name.to_owned(), searched: directories.to_vec() }
        })
}

/// Reads the file at a path that [`find`] returned.
///
/// # Errors
/// [`FileError::Unreadable`], also for a file that is too large or not UTF-8.
pub fn read(path: &Path) -> Result<(String, Arc<Path>), FileError> {
    let unreadable = |source| FileError::Unreadable { path: path.to_owned(), source };
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > LARGEST {
        return Err(unreadable(io::Error::other(format!("it is larger than {LARGEST} bytes"))));
    }
    let text = fs::read_to_string(path).map_err(unreadable)?;
    Ok((text, Arc::from(path.strip_prefix("./").unwrap_or(path))))
}

fn spellings(path: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    let with_extension = EXTENSIONS.map(|extension| {
        let mut name = path.as_os_str().to_owned();
        name.push(".");
        name.push(extension);
        PathBuf::from(name)
    });
    with_extension.into_iter().chain([path.to_owned()])
}

fn not_at(path: PathBuf) -> FileError {
    let reason = match path.metadata() {
        Ok(_) => "it is a directory".to_owned(),
        Err(error) => error.to_string(),
    };
    FileError::NotAt { path, reason }
}

fn shown(directories: &[PathBuf]) -> String {
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}
