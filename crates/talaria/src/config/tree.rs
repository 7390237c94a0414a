//! The configuration as a tree of values, each of which knows where it was written.
//!
//! Keys are compared without regard to case, as in the Go gateway, but keep the case in which they were written,
//! because names of Kafka headers and event types are keys too. This module does not know which keys exist or what they
//! mean.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The defaults, which are the embedded `defaults.yaml`.
    Default {
        /// Line number, from 1.
        line: u64,
    },
    /// A configuration file.
    File {
        /// The path at which the file was found.
        path: Arc<Path>,
        /// Line number, from 1.
        line: u64,
    },
    /// An environment variable.
    Environment {
        /// The whole name of the variable.
        name: Arc<str>,
    },
    /// A document that an operator has sent to the control server.
    Control {
        /// Line number, from 1.
        line: u64,
    },
    /// A file that holds this value alone.
    ValueFile {
        /// The path of the file.
        path: Arc<Path>,
        /// Where the file was named.
        named: Arc<Self>,
    },
}

impl Origin {
    /// The file that holds the value alone.
    #[must_use]
    pub fn value_file(&self) -> Option<&Path> {
        match self {
            Self::ValueFile { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default { .. } => formatter.write_str("default"),
            Self::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Environment { name } => write!(formatter, "environment {name}"),
            Self::Control { line } => write!(formatter, "control:{line}"),
            Self::ValueFile { path, named } => write!(formatter, "{named} ({})", path.display()),
        }
    }
}

/// A value with its origin.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

/// A value of YAML.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// No value was written, which is the same as leaving out the key.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, in the spelling in which it was written.
    Number(String),
    /// A text. Values from the environment are texts unless they are written as a list or a section.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A section: its keys and values in the order in which they were written.
    Map(Vec<Entry>),
}

/// A key of a section, and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key in the case in which it was written.
    pub key: String,
    /// Its value.
    pub node: Node,
}

impl Value {
    /// Whether the value is null, an empty text, an empty list, or a section of blank values.
    #[must_use]
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(_) | Self::Number(_) => false,
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(entries) => entries.iter().all(|entry| entry.node.value.is_blank()),
        }
    }
}

impl Node {
    /// The node at a path of keys such as `["device", "manager"]` or `["topicMap[0]", "topic"]`; `[0]` alone is the item of a list,
    /// and the empty path this node.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Self> {
        path.into_iter().try_fold(self, |node, key| {
            match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
                Some(("", number)) => node.item(number.parse().ok()?),
                Some((key, number)) => node.child(key)?.item(number.parse().ok()?),
                None => node.child(key),
            }
        })
    }

    /// The paths at which another tree has another value, regardless of where it was written. A list counts as one
    /// value.
    #[must_use]
    pub fn changed(&self, other: &Self) -> Vec<String> {
        let mut paths = Vec::new();
        collect_changes("", self, other, &mut paths);
        paths
    }

    fn item(&self, number: usize) -> Option<&Self> {
        match &self.value {
            Value::List(items) => items.get(number),
            _ => None,
        }
    }

    fn child(&self, key: &str) -> Option<&Self> {
        self.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| &entry.node)
    }

    /// The entries of this section; empty if this is not a section.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Sets the value at a path. Missing sections on the path are created, and other values on it are replaced by
    /// sections.
    pub fn set(&mut self, path: &[&str], node: Self) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            *self = Self { value: Value::Map(Vec::new()), origin: node.origin.clone() };
        }
        let Value::Map(entries) = &mut self.value else { return };
        let position =
            entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key)).unwrap_or_else(|| {
                let empty = Self { value: Value::Null, origin: node.origin.clone() };
                entries.push(Entry { key: (*key).to_owned(), node: empty });
                entries.len() - 1
            });
        entries[position].node.set(rest, node);
    }

    /// Removes and returns the node at a path.
    pub fn remove(&mut self, path: &[&str]) -> Option<Self> {
        let (key, rest) = path.split_first()?;
        let Value::Map(entries) = &mut self.value else { return None };
        let position = entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key))?;
        if rest.is_empty() {
            Some(entries.remove(position).node)
        } else {
            entries[position].node.remove(rest)
        }
    }

    /// Merges another tree, whose values win, into this one. Sections are merged key by key; any other value replaces
    /// the present one. A null changes nothing. A value where a section is expected changes nothing either:
    /// `config::known` reports it as a fault, and the tree stays readable so that other faults can be found.
    pub fn overlay(&mut self, above: Self) {
        match (&mut self.value, above.value) {
            (_, Value::Null) => {}
            (Value::Map(below), Value::Map(above)) => {
                // Keys of the same layer that differ only in case stay separate, because they may be names of headers.
                let known = below.len();
                for entry in above {
                    let same = |known: &&mut Entry| known.key.eq_ignore_ascii_case(&entry.key);
                    match below[..known].iter_mut().find(same) {
                        Some(known) => known.node.overlay(entry.node),
                        None => below.push(entry),
                    }
                }
            }
            (Value::Map(_), _) => {}
            (_, value) => *self = Self { value, origin: above.origin },
        }
    }
}

fn collect_changes(path: &str, one: &Node, other: &Node, paths: &mut Vec<String>) {
    let (Value::Map(_), Value::Map(_)) = (&one.value, &other.value) else {
        if !same_value(&one.value, &other.value) {
            paths.push(path.to_owned());
        }
        return;
    };
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    for entry in one.entries() {
        match other.child(&entry.key) {
            Some(other) => collect_changes(&below(&entry.key), &entry.node, other, paths),
            None if entry.node.value.is_blank() => {}
            None => paths.push(below(&entry.key)),
        }
    }
    let is_new = |entry: &&Entry| one.child(&entry.key).is_none() && !entry.node.value.is_blank();
    paths.extend(other.entries().iter().filter(is_new).map(|entry| below(&entry.key)));
}

/// Whether two values are equal, regardless of where they were written.
fn same_value(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::List(one), Value::List(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_value(&one.value, &other.value))
        }
        (Value::Map(one), Value::Map(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| {
                    one.key.eq_ignore_ascii_case(&other.key) && same_value(&one.node.value, &other.node.value)
                })
        }
        _ => one == other,
    }
}
