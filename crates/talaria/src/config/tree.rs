//! The configuration as a tree of values that know where they came from.
//!
//! Keys are compared without regard to case, as in the Go gateway, but keep the case they were written in: names of
//! Kafka headers and event types are keys too. Nothing here knows what a key means.

use std::{fmt, path::Path, sync::Arc};

/// Where a value was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The gateway's own defaults (the embedded `talaria.yaml`), at this line.
    Default {
        /// Line number, from 1.
        line: u64,
    },
    /// A configuration file.
    File {
        /// The file's path, as it was found.
        path: Arc<Path>,
        /// Line number, from 1.
        line: u64,
    },
    /// An environment variable.
    Environment {
        /// The variable's whole name.
        name: Arc<str>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default { .. } => formatter.write_str("default"),
            Origin::File { path, line } => write!(formatter, "{}:{line}", path.display()),
            Origin::Environment { name } => write!(formatter, "environment {name}"),
        }
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq)]
pub struct Node {
    /// The value.
    pub value: Value,
    /// Where it was written.
    pub origin: Origin,
}

/// A value as YAML has them.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// Nothing was written: the same as not to write the key.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A text; every environment variable is one.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A section: keys and their values in the order they were written.
    Map(Vec<Entry>),
}

/// A key of a section, and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key in the case it was written in.
    pub key: String,
    /// Its value.
    pub node: Node,
}

impl Value {
    /// Whether the value says nothing: null, an empty text, list or section.
    pub fn is_blank(&self) -> bool {
        match self {
            Value::Null => true,
            Value::Bool(_) | Value::Number(_) => false,
            Value::Text(text) => text.is_empty(),
            Value::List(items) => items.is_empty(),
            Value::Map(entries) => entries.iter().all(|entry| entry.node.value.is_blank()),
        }
    }
}

impl Node {
    /// The sub-tree at a path of keys such as `["device", "manager"]`, or `["topicMap[0]", "topic"]`; the empty path
    /// is the node itself.
    pub fn at<'a>(&self, path: impl IntoIterator<Item = &'a str>) -> Option<&Node> {
        path.into_iter().try_fold(self, |node, key| {
            match key.strip_suffix(']').and_then(|key| key.split_once('[')) {
                Some((key, number)) => node.child(key)?.item(number.parse().ok()?),
                None => node.child(key),
            }
        })
    }

    /// The paths at which another tree has another value, wherever it was written. A list is one value.
    pub fn changed(&self, other: &Node) -> Vec<String> {
        let mut paths = Vec::new();
        collect_changes("", self, other, &mut paths);
        paths
    }

    fn item(&self, number: usize) -> Option<&Node> {
        match &self.value {
            Value::List(items) => items.get(number),
            _ => None,
        }
    }

    fn child(&self, key: &str) -> Option<&Node> {
        self.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(key)).map(|entry| &entry.node)
    }

    /// The keys and values of this section; none if it isn't one.
    pub fn entries(&self) -> &[Entry] {
        match &self.value {
            Value::Map(entries) => entries,
            _ => &[],
        }
    }

    /// Sets the value at a path, making the sections on the way. A value on the way that is no section is replaced.
    pub fn set(&mut self, path: &[&str], node: Node) {
        let Some((key, rest)) = path.split_first() else {
            *self = node;
            return;
        };
        if !matches!(self.value, Value::Map(_)) {
            *self = Node { value: Value::Map(Vec::new()), origin: node.origin.clone() };
        }
        let Value::Map(entries) = &mut self.value else { return };
        let position =
            entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key)).unwrap_or_else(|| {
                let empty = Node { value: Value::Null, origin: node.origin.clone() };
                entries.push(Entry { key: (*key).to_owned(), node: empty });
                entries.len() - 1
            });
        entries[position].node.set(rest, node);
    }

    /// Takes the value at a path out of the tree.
    pub fn remove(&mut self, path: &[&str]) -> Option<Node> {
        let (key, rest) = path.split_first()?;
        let Value::Map(entries) = &mut self.value else { return None };
        let position = entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key))?;
        if rest.is_empty() {
            Some(entries.remove(position).node)
        } else {
            entries[position].node.remove(rest)
        }
    }

    /// Lays another tree over this one. A section is merged key by key, any other value replaces the one below.
    /// A null changes nothing, and neither does a value of the wrong shape (a text where a section is due): that is
    /// a fault, reported by `config::known`, and the tree stays readable for finding the others.
    pub fn overlay(&mut self, above: Node) {
        match (&mut self.value, above.value) {
            (_, Value::Null) => {}
            (Value::Map(below), Value::Map(above)) => {
                // Keys of one layer that differ in case only are different ones: names of headers.
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
            (_, value) => *self = Node { value, origin: above.origin },
        }
    }
}

/// Walks two trees side by side.
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

/// Whether two values say the same, wherever they were written.
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
