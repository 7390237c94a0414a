//! Reads environment variables into a layer (contract §9.4).
//!
//! A variable is named `TALARIA_` and the path of a key in upper case, with `_` for each dot. Every known key can be
//! set, whether or not the file has it. A list is separated by commas or written as YAML (`[a, b]`), and a number in the name
//! is one item of it; a section is written as YAML (`{default: http://…}`). With `_FILE` at the end of its name the variable
//! names a file that holds the value. An empty variable counts as not set.
//!
//! Start reading at [`Environment::read`]; which key a name means is found in `environment/names.rs`.

mod names;

use std::sync::Arc;

use super::fault::Report;
use super::tree::{Entry, Node, Origin, Value};
use super::{known, value_file, yaml};

use names::{Name, Names, Step};

/// The beginning of the name of every variable of the gateway.
pub(super) const PREFIX: &str = "TALARIA_";

/// Names, without the prefix, of variables that Kubernetes sets in every pod if there is a service named talaria. They
/// are not settings of the gateway.
const KUBERNETES: [&str; 3] = ["SERVICE_HOST", "SERVICE_PORT", "PORT"];

/// Beginnings of names, without the prefix, of variables that this repository's scripts and tests read. A gateway that they
/// start does not warn of them.
const SCRIPTS: [&str; 15] = [
    "ADVISORY",
    "BIN",
    "BINARY",
    "CLUSTER",
    "DEBIAN",
    "DRAIN_DEVICES",
    "FLEET",
    "FUZZ",
    "KAFKA_HOME",
    "LONG_TESTS",
    "OUTAGE",
    "REQUIRE",
    "SESSIONS",
    "TLS_DEVICES",
    "WYCHEPROOF",
];

/// The variables of the gateway.
pub(super) struct Environment {
    /// The keys that are set as a whole.
    keys: Node,
    /// Items of lists, and keys of items.
    items: Vec<Item>,
}

/// An item of a list, or a key of one.
struct Item {
    /// The path of the list.
    list: Vec<String>,
    /// What follows it; the first step is the number of the item.
    steps: Vec<Step>,
    node: Node,
}

impl Environment {
    /// Reads the variables. One that names no known key is a warning.
    pub(super) fn read(variables: &[(String, String)], known: &Node, report: &mut Report) -> Self {
        let names = Names::of(known);
        let root: Arc<str> = Arc::from("");
        let keys = Node { value: Value::Map(Vec::new()), origin: Origin::Environment { name: root } };
        let mut read = Self { keys, items: Vec::new() };
        for (variable, text) in variables {
            let Some(name) = variable.strip_prefix(PREFIX) else { continue };
            if text.is_empty() || is_of(&KUBERNETES, name) || is_of(&SCRIPTS, name) {
                continue;
            }
            let variable: Arc<str> = Arc::from(variable.as_str());
            let origin = Origin::Environment { name: Arc::clone(&variable) };
            let Some(found) = names.find(name) else {
                let problem = match known::closest(name, names.all()) {
                    Some(near) => {
                        format!("does not name a known key and is ignored; did you mean {PREFIX}{near}?")
                    }
                    None => "does not name a known key and is ignored".to_owned(),
                };
                report.warn("", problem, Some(&origin));
                continue;
            };
            match value(&found, text, &variable, &origin) {
                Ok(node) => read.add(&found, node, report),
                Err(problem) => report.fault(found.shown(), problem, Some(&origin)),
            }
        }
        read.items.sort_by(|one, other| (&one.list, &one.steps).cmp(&(&other.list, &other.steps)));
        read
    }

    /// The value that is set for a key as a whole.
    pub(super) fn at(&self, path: &str) -> Option<&Node> {
        self.keys.at(path.split('.'))
    }

    /// The layer over `below`. Items change the list that is below them, or are added to its end.
    pub(super) fn over(self, below: &Node, report: &mut Report) -> Node {
        let mut layer = self.keys;
        for Item { list, steps, node } in self.items {
            let path: Vec<&str> = list.iter().map(String::as_str).collect();
            let is_written = |node: &&Node| node.value != Value::Null;
            let present =
                layer.at(path.iter().copied()).filter(is_written).or_else(|| below.at(path.iter().copied()));
            let empty = || Node { value: Value::List(Vec::new()), origin: node.origin.clone() };
            let mut changed = present.cloned().unwrap_or_else(empty);
            let origin = match &node.origin {
                Origin::ValueFile { named, .. } => Origin::clone(named),
                origin => origin.clone(),
            };
            match set(&mut changed, &steps, node) {
                Ok(()) => {
                    changed.origin = origin;
                    layer.set(&path, changed);
                }
                Err(Gap { index, length }) => report.fault(
                    format!("{}[{index}]", list.join(".")),
                    format!("follows no item: the list has {length}, expected the next index or a lower one"),
                    Some(&origin),
                ),
            }
        }
        layer
    }

    fn add(&mut self, name: &Name<'_>, node: Node, report: &mut Report) {
        let is_list = name.steps.iter().position(|step| matches!(step, Step::Index(_)));
        let keys = |steps: &[Step]| steps.iter().map(Step::to_string).collect::<Vec<_>>();
        if let Some(at) = is_list {
            let steps = name.steps[at..].to_vec();
            self.items.push(Item { list: keys(&name.steps[..at]), steps, node });
            return;
        }
        let path = keys(&name.steps);
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if self.keys.at(path.iter().copied()).is_some_and(|node| node.value != Value::Null) {
            let problem = "is set twice in the environment, as a value and as a file, expected one of them";
            report.fault(name.shown(), problem, Some(&node.origin));
            return;
        }
        self.keys.set(&path, node);
    }
}

/// The value of a variable.
fn value(name: &Name<'_>, text: &str, variable: &Arc<str>, origin: &Origin) -> Result<Node, String> {
    if name.is_file {
        return value_file::read(text, origin, name.known);
    }
    let plain = || Node { value: Value::Text(text.to_owned()), origin: origin.clone() };
    // A password may begin with a bracket, too.
    let may_be_yaml = match name.known.map(|known| &known.value) {
        None | Some(Value::Null | Value::List(_) | Value::Map(_)) => true,
        Some(Value::Bool(_) | Value::Number(_) | Value::Text(_)) => false,
    };
    if !may_be_yaml || !text.trim_start().starts_with(['[', '{']) {
        return Ok(plain());
    }
    match yaml::environment(text, variable) {
        Ok(node) => Ok(node),
        Err(_) if name.known.is_some_and(|known| known.value == Value::Null) => Ok(plain()),
        Err(error) => Err(format!("is {error}")),
    }
}

/// An index that is too large for its list.
struct Gap {
    index: usize,
    length: usize,
}

fn set(node: &mut Node, steps: &[Step], value: Node) -> Result<(), Gap> {
    let Some((step, rest)) = steps.split_first() else {
        *node = value;
        return Ok(());
    };
    let empty = |origin: &Origin| Node { value: Value::Null, origin: origin.clone() };
    match step {
        Step::Index(index) => {
            make_list(node);
            let Value::List(items) = &mut node.value else { return Ok(()) };
            if *index > items.len() {
                return Err(Gap { index: *index, length: items.len() });
            }
            if *index == items.len() {
                items.push(empty(&value.origin));
            }
            set(&mut items[*index], rest, value)
        }
        Step::Key(key) => {
            if !matches!(node.value, Value::Map(_)) {
                node.value = Value::Map(Vec::new());
            }
            let Value::Map(entries) = &mut node.value else { return Ok(()) };
            let at = entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(key));
            let at = at.unwrap_or_else(|| {
                entries.push(Entry { key: key.clone(), node: empty(&value.origin) });
                entries.len() - 1
            });
            set(&mut entries[at].node, rest, value)
        }
    }
}

/// Makes a list of what stands for one: nothing, a text with commas, or a single section.
fn make_list(node: &mut Node) {
    let items = match std::mem::replace(&mut node.value, Value::Null) {
        Value::List(items) => items,
        Value::Null => Vec::new(),
        Value::Text(text) => {
            let texts = text.split(',').map(str::trim).filter(|text| !text.is_empty());
            texts
                .map(|text| Node { value: Value::Text(text.to_owned()), origin: node.origin.clone() })
                .collect()
        }
        value @ (Value::Bool(_) | Value::Number(_) | Value::Map(_)) => {
            vec![Node { value, origin: node.origin.clone() }]
        }
    };
    node.value = Value::List(items);
}

/// Whether a name is one of these, or continues one of them after `_`.
fn is_of(beginnings: &[&str], name: &str) -> bool {
    beginnings
        .iter()
        .any(|start| name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}
