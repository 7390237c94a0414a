//! The settings of the log: the section `zap` of the configuration.

use std::fmt;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use tracing::level_filters::LevelFilter;

use super::rotation::Rotation;
use super::sampling::Sampling;

/// The section `zap` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The least important level that is logged.
    pub level: Level,
    /// The outputs, each of which gets every line; an empty list logs nothing.
    pub outputs: Vec<Output>,
    /// The least important levels of parts of the gateway, by the beginnings of their targets, such as `wrpkafka`.
    pub targets: Vec<(String, LevelFilter)>,
    /// The form of a line.
    pub form: Form,
    /// Which of many equal lines are logged; all of them if none.
    pub sampling: Option<Sampling>,
    /// When a file is rotated; never if none.
    pub rotation: Option<Rotation>,
}

/// The form of a line (`zap.encoding`, `zap.encoderConfig`, `zap.initialFields`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Form {
    /// JSON, or for people.
    pub encoding: Encoding,
    /// The names of the keys in JSON.
    pub keys: Keys,
    /// How levels are written.
    pub levels: LevelForm,
    /// How the time is written.
    pub time: TimeForm,
    /// What separates the parts of a line that is not JSON.
    pub separator: String,
    /// Fields that every line has: `,"key":value` for each, as JSON.
    pub fields: String,
}

/// How a level is written (`zap.encoderConfig.levelEncoder`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LevelForm {
    /// `info`
    #[default]
    Lowercase,
    /// `INFO`
    Capital,
}

/// How the time is written (`zap.encoderConfig.timeEncoder`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeForm {
    /// RFC 3339 with milliseconds, in the local zone.
    #[default]
    Rfc3339,
    /// RFC 3339 with nanoseconds.
    Rfc3339Nano,
    /// ISO 8601 with milliseconds.
    Iso8601,
    /// Seconds since 1970, with a fraction.
    Epoch,
    /// Milliseconds since 1970, with a fraction.
    Millis,
    /// Nanoseconds since 1970.
    Nanos,
}

/// A level of the log, as `zap.level` names it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Level {
    /// One message on its way through the gateway.
    Debug,
    /// A change of state.
    #[default]
    Info,
    /// Something is not as it should be, but nothing was lost.
    Warn,
    /// Something was lost.
    Error,
}

/// An output of the log (`zap.outputPaths`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// The standard output.
    Stdout,
    /// The standard error.
    Stderr,
    /// A file, to which lines are appended.
    File(PathBuf),
}

/// The form of a line (`zap.encoding`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// One JSON object per line.
    #[default]
    Json,
    /// Time, level, message and the fields as JSON, separated by tabs.
    Console,
}

/// The names of the keys of a JSON line (`zap.encoderConfig`). What has an empty one is left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `zap.encoderConfig.timeKey`.
    pub time: String,
    /// `zap.encoderConfig.levelKey`.
    pub level: String,
    /// `zap.encoderConfig.messageKey`.
    pub message: String,
    /// `zap.encoderConfig.nameKey`: the part of the gateway.
    pub name: String,
    /// `zap.encoderConfig.callerKey`: the place in the code.
    pub caller: String,
}

/// A text that is not a log level.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected one of debug, info, warn, error")]
pub struct UnknownLevelError;

/// A text that is not a form of levels.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected lowercase or capital")]
pub struct UnknownLevelFormError;

/// A text that is not a form of times.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected rfc3339, rfc3339nano, iso8601, epoch, millis or nanos")]
pub struct UnknownTimeFormError;

/// A text that is not an encoding of log lines.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected json or console")]
pub struct UnknownEncodingError;

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::default(),
            outputs: vec![Output::Stdout],
            targets: Vec::new(),
            form: Form::default(),
            sampling: None,
            rotation: None,
        }
    }
}

impl Default for Form {
    fn default() -> Self {
        Self {
            encoding: Encoding::default(),
            keys: Keys::default(),
            levels: LevelForm::default(),
            time: TimeForm::default(),
            separator: "\t".to_owned(),
            fields: String::new(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self {
            time: "ts".to_owned(),
            level: "level".to_owned(),
            message: "msg".to_owned(),
            name: String::new(),
            caller: String::new(),
        }
    }
}

impl FromStr for Level {
    type Err = UnknownLevelError;

    /// Accepts the names of zap; its three levels above `error` mean `error`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "debug" => Ok(Self::Debug),
            "info" | "" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" | "dpanic" | "panic" | "fatal" => Ok(Self::Error),
            _ => Err(UnknownLevelError),
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        })
    }
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Debug => Self::DEBUG,
            Level::Info => Self::INFO,
            Level::Warn => Self::WARN,
            Level::Error => Self::ERROR,
        }
    }
}

impl From<&str> for Output {
    fn from(path: &str) -> Self {
        match path {
            "stdout" => Self::Stdout,
            "stderr" => Self::Stderr,
            path => Self::File(path.strip_prefix("file://").unwrap_or(path).into()),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stdout => f.write_str("stdout"),
            Self::Stderr => f.write_str("stderr"),
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Output {
    /// Whether it could be opened. No file is made.
    ///
    /// # Errors
    /// The system's error.
    pub fn check(&self) -> io::Result<()> {
        let Self::File(path) = self else { return Ok(()) };
        match path.metadata() {
            Ok(found) if found.is_dir() => Err(io::ErrorKind::IsADirectory.into()),
            // To open a pipe would wait for its reader.
            Ok(found) if found.is_file() => OpenOptions::new().append(true).open(path).map(drop),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
                let is_folder = folder.unwrap_or(Path::new(".")).metadata()?.is_dir();
                if is_folder { Ok(()) } else { Err(io::ErrorKind::NotADirectory.into()) }
            }
            Err(error) => Err(error),
        }
    }
}

impl FromStr for LevelForm {
    type Err = UnknownLevelFormError;

    /// Accepts the names of zap; what has colours there has none here.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "lowercase" | "color" => Ok(Self::Lowercase),
            "capital" | "capitalColor" => Ok(Self::Capital),
            _ => Err(UnknownLevelFormError),
        }
    }
}

impl FromStr for TimeForm {
    type Err = UnknownTimeFormError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "rfc3339" => Ok(Self::Rfc3339),
            "rfc3339nano" => Ok(Self::Rfc3339Nano),
            "iso8601" => Ok(Self::Iso8601),
            "epoch" => Ok(Self::Epoch),
            "millis" => Ok(Self::Millis),
            "nanos" => Ok(Self::Nanos),
            _ => Err(UnknownTimeFormError),
        }
    }
}

impl FromStr for Encoding {
    type Err = UnknownEncodingError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.to_ascii_lowercase().as_str() {
            "json" | "" => Ok(Self::Json),
            "console" => Ok(Self::Console),
            _ => Err(UnknownEncodingError),
        }
    }
}
