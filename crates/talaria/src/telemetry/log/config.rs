//! The settings of the log: the section `zap` of the configuration.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use tracing::level_filters::LevelFilter;

/// The section `zap` of the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The least important level that is logged.
    pub level: Level,
    /// The outputs, each of which gets every line; an empty list logs nothing.
    pub outputs: Vec<Output>,
    /// The form of a line.
    pub encoding: Encoding,
    /// The names of the three keys that every line has.
    pub keys: Keys,
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

/// The names of the keys that every JSON line has (`zap.encoderConfig`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    /// `zap.encoderConfig.timeKey`.
    pub time: String,
    /// `zap.encoderConfig.levelKey`.
    pub level: String,
    /// `zap.encoderConfig.messageKey`.
    pub message: String,
}

/// A text that is not a log level.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected one of debug, info, warn, error")]
pub struct UnknownLevelError;

/// A text that is not an encoding of log lines.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("expected json or console")]
pub struct UnknownEncodingError;

impl Default for Config {
    fn default() -> Self {
        Self {
            level: Level::default(),
            outputs: vec![Output::Stdout],
            encoding: Encoding::default(),
            keys: Keys::default(),
        }
    }
}

impl Default for Keys {
    fn default() -> Self {
        Self { time: "ts".to_owned(), level: "level".to_owned(), message: "msg".to_owned() }
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
