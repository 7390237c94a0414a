//! Finds and reads the configuration file.

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// The name looked for if none is given.
pub const DEFAULT_NAME: &str = "talaria";

/// What a name may lack.
const EXTENSIONS: [&str; 3] = ["yaml", "yml", "json"];

/// No configuration is that large; a device or a pipe given by mistake might be.
const LARGEST: u64 = 16 << 20;

/// Why there is no file to read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// None of the places has it.
    #[error(
        "no configuration file {name:?} (.yaml, .yml or .json) in {}; give one with --file, an empty one for the defaults",
        shown(.searched)
    )]
    NotFound {
        /// The base name or path that was looked for.
        name: String,
        /// The directories it was looked for in.
        searched: Vec<PathBuf>,
    },
    /// It is there, but cannot be read.
    #[error("cannot read the configuration file {}: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// The directories that are searched, in order: `/etc/talaria`, `$HOME/.talaria`, `.`.
pub fn search_path(home: Option<&Path>) -> Vec<PathBuf> {
    [Some(PathBuf::from("/etc/talaria")), home.map(|home| home.join(".talaria")), Some(PathBuf::from("."))]
        .into_iter()
        .flatten()
        .collect()
}

/// Finds the file of a base name in the directories, or at the path it names itself, with or without its extension.
///
/// # Errors
/// [`FileError::NotFound`].
pub fn find(name: &str, directories: &[PathBuf]) -> Result<PathBuf, FileError> {
    // A path is meant from here first, a bare name from the search path first.
    let is_path = name.contains('/')
        || Path::new(name)
            .extension()
            .is_some_and(|ending| EXTENSIONS.iter().any(|known| ending.eq_ignore_ascii_case(known)));
    let here = is_path.then(PathBuf::new);
    here.iter()
        .chain(directories)
        .flat_map(|directory| spellings(&directory.join(name)))
        .find(|path| path.metadata().is_ok_and(|found| !found.is_dir()))
        .ok_or_else(|| FileError::NotFound { name: name.to_owned(), searched: directories.to_vec() })
}

/// Reads a file that was found.
///
/// # Errors
/// [`FileError::Unreadable`], also for one that is too large or not UTF-8.
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

fn shown(directories: &[PathBuf]) -> String {
    directories.iter().map(|directory| directory.display().to_string()).collect::<Vec<_>>().join(", ")
}
