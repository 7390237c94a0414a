//! Reads environment variables into a layer (contract §9.4).
//!
//! A variable is named `TALARIA_` and the path of a key in upper case, with `_` for each dot. Every known key can be
//! set, whether or not the file has it. A list is separated by commas or written as YAML (`[a, b]`); a section is
//! written as YAML (`{default: http://…}`). An empty variable counts as not set.

use std::collections::HashMap;
use std::sync::Arc;

use super::fault::Report;
use super::tree::{Node, Origin, Value};
use super::{known, yaml};

/// The beginning of the name of every variable of the gateway.
pub(super) const PREFIX: &str = "TALARIA_";

/// Names, without the prefix, of variables that Kubernetes sets in every pod if there is a service named talaria. They
/// are not settings of the gateway.
const KUBERNETES: [&str; 3] = ["SERVICE_HOST", "SERVICE_PORT", "PORT"];

/// Reads the variables into a layer. A variable that names no known key is a warning.
pub(super) fn layer(variables: &[(String, String)], sample: &Node, report: &mut Report) -> Node {
    let names = Names::of(sample);
    let root: Arc<str> = Arc::from("");
    let mut layer = Node { value: Value::Map(Vec::new()), origin: Origin::Environment { name: root } };
    for (variable, text) in variables {
        let Some(name) = variable.strip_prefix(PREFIX) else { continue };
        if text.is_empty() || is_kubernetes(name) {
            continue;
        }
        let variable: Arc<str> = Arc::from(variable.as_str());
        let origin = Origin::Environment { name: Arc::clone(&variable) };
        let Some(path) = names.path(name) else {
            let problem = match known::closest(name, names.paths.keys().map(String::as_str)) {
                Some(near) => {
                    format!("does not name a known key and is ignored; did you mean {PREFIX}{near}?")
                }
                None => "does not name a known key and is ignored".to_owned(),
            };
            report.warn("", problem, Some(&origin));
            continue;
        };
        let node = match text.trim_start().as_bytes() {
            [b'[' | b'{', ..] => match yaml::environment(text, &variable) {
                Ok(node) => node,
                Err(error) => {
                    report.fault(path.join("."), format!("is {error}"), Some(&origin));
                    continue;
                }
            },
            _ => Node { value: Value::Text(text.clone()), origin },
        };
        layer.set(&path.iter().map(String::as_str).collect::<Vec<_>>(), node);
    }
    layer
}

/// The paths of the known keys by the names of their variables, without the prefix.
struct Names {
    paths: HashMap<String, Vec<String>>,
}

impl Names {
    fn of(sample: &Node) -> Self {
        let mut names = Self { paths: HashMap::new() };
        names.add(sample, &mut Vec::new());
        for (alias, _) in known::ALIASES {
            names.paths.insert(variable(alias), alias.split('.').map(str::to_owned).collect());
        }
        names
    }

    fn add(&mut self, node: &Node, path: &mut Vec<String>) {
        for entry in node.entries() {
            path.push(entry.key.clone());
            self.paths.insert(variable(&path.join(".")), path.clone());
            self.add(&entry.node, path);
            path.pop();
        }
    }

    /// The path that a variable names: a known key, a key chosen by the user in an open section, or a key of the Go
    /// gateway, for which [`known::check`] then warns.
    fn path(&self, name: &str) -> Option<Vec<String>> {
        if let Some(path) = self.paths.get(name) {
            return Some(path.clone());
        }
        let below =
            |section: &str| Some(name.strip_prefix(&variable(section))?.strip_prefix('_')?.to_lowercase());
        let open = known::OPEN.iter().find_map(|section| Some((section, below(section)?)));
        if let Some((section, key)) = open {
            return Some(section.split('.').map(str::to_owned).chain([key]).collect());
        }
        let path = name.to_lowercase().replace('_', ".");
        known::foreign(&path).is_some().then(|| path.split('.').map(str::to_owned).collect())
    }
}

fn variable(path: &str) -> String {
    path.replace('.', "_").to_uppercase()
}

fn is_kubernetes(name: &str) -> bool {
    KUBERNETES
        .iter()
        .any(|start| name.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('_')))
}
