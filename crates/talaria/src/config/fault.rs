//! Faults and warnings: what is reported about a configuration, one line each, and without showing secrets.

use std::fmt;

use super::secret::{is_secret, masked, masked_message};
use super::tree::{Node, Origin, Value};

/// What is shown in place of a secret.
const HIDDEN: &str = "a hidden value";

/// The warning about a key that no component reads.
pub(super) const UNKNOWN_KEY: &str = "is not a known key and is ignored";

/// The warning about a token server whose URL is not of https.
pub(super) const READABLE_TOKENS: &str = "is not https: the secret and the tokens can be read on their way";

/// A problem that keeps the gateway from starting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key in the spelling of the sample, such as `kafka.brokers[1]`; empty if the file as a whole is at fault.
    pub key: String,
    /// What is wrong and what is expected, as it follows the key in a message.
    pub problem: String,
    /// Where the value was written; `None` if it was not.
    pub origin: Option<Origin>,
}

impl Fault {
    /// A value of the wrong type or outside its range.
    pub fn unexpected(key: impl Into<String>, node: &Node, expected: &str) -> Self {
        let key = key.into();
        let value = match node.origin.value_file() {
            // A file of its own holds a secret in most cases.
            Some(_) => HIDDEN.to_owned(),
            None => shown(&key, &node.value),
        };
        let problem = format!("is {value}, expected {expected}");
        Self { key, problem, origin: Some(node.origin.clone()) }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(formatter, self.origin.as_ref(), &self.key, &self.problem)
    }
}

/// A value that is used or ignored, but probably not as the user meant it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The key as it was written.
    pub key: String,
    /// What is wrong and what follows, as it follows the key in a message.
    pub problem: String,
    /// Where the value was written; `None` if it was not.
    pub origin: Option<Origin>,
}

impl fmt::Display for Warning {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        line(formatter, self.origin.as_ref(), &self.key, &self.problem)
    }
}

/// The faults and warnings of one configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Problems that keep the gateway from starting.
    pub faults: Vec<Fault>,
    /// Problems with which the gateway starts.
    pub warnings: Vec<Warning>,
}

impl Report {
    /// Adds a fault. Credentials of URLs in the problem are masked.
    pub fn fault(&mut self, key: impl Into<String>, problem: impl AsRef<str>, origin: Option<&Origin>) {
        let problem = masked_message(problem.as_ref());
        self.faults.push(Fault { key: key.into(), problem, origin: origin.cloned() });
    }

    /// Adds a warning, once. Credentials of URLs in the problem are masked.
    pub fn warn(&mut self, key: impl Into<String>, problem: impl AsRef<str>, origin: Option<&Origin>) {
        let problem = masked_message(problem.as_ref());
        let warning = Warning { key: key.into(), problem, origin: origin.cloned() };
        // The items of a list are checked again with the variables that change one of them.
        if !self.warnings.contains(&warning) {
            self.warnings.push(warning);
        }
    }
}

/// A value for a message: short, in one line, and hidden if it is a secret.
fn shown(key: &str, value: &Value) -> String {
    const LONGEST: usize = 80;
    match value {
        Value::Null => "empty".to_owned(),
        _ if is_secret(key) => HIDDEN.to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a section".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::Text(text) => {
            let text = masked(text);
            match text.char_indices().nth(LONGEST) {
                Some((end, _)) => format!("{:?}…", &text[..end]),
                None => format!("{text:?}"),
            }
        }
    }
}

fn line(
    formatter: &mut fmt::Formatter<'_>,
    origin: Option<&Origin>,
    key: &str,
    problem: &str,
) -> fmt::Result {
    if let Some(origin) = origin.filter(|origin| !matches!(origin, Origin::Default { .. })) {
        write!(formatter, "{origin}: ")?;
    }
    if !key.is_empty() {
        write!(formatter, "{key} ")?;
    }
    formatter.write_str(problem)
}
