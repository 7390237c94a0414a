//! Which key the name of an environment variable means.

use std::collections::HashMap;
use std::fmt;

use crate::config::tree::{Node, Value};
use crate::config::{known, sample, upstream};

/// The largest number of an item of a list.
const LARGEST_INDEX: usize = 999;

/// The keys of a section by the names of their variables, without the prefix.
pub(super) struct Names<'s> {
    paths: HashMap<String, (Vec<String>, Option<&'s Node>)>,
    /// The names of sections whose keys the user chooses.
    open: Vec<(String, Vec<String>)>,
}

/// What a variable names.
pub(super) struct Name<'s> {
    pub(super) steps: Vec<Step>,
    /// What the sample has there, if anything.
    pub(super) known: Option<&'s Node>,
    /// Whether the variable names a file that holds the value.
    pub(super) is_file: bool,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Step {
    /// An item of a list.
    Index(usize),
    /// A key of a section.
    Key(String),
}

impl<'s> Names<'s> {
    /// The names of the keys of the described sample.
    pub(super) fn of(known: &'s Node) -> Self {
        let mut names = Self::of_section(known);
        for (alias, name) in known::ALIASES {
            let path = alias.split('.').map(str::to_owned).collect();
            names.paths.insert(variable(alias), (path, known.at(name.split('.'))));
        }
        names
    }

    fn of_section(section: &'s Node) -> Self {
        let mut names = Self { paths: HashMap::new(), open: Vec::new() };
        names.add(section, &mut Vec::new());
        names
    }

    fn add(&mut self, section: &'s Node, path: &mut Vec<String>) {
        for entry in section.entries() {
            path.push(entry.key.clone());
            let name = variable(&path.join("."));
            if sample::is_open(&entry.node) {
                self.open.push((format!("{name}_"), path.clone()));
            }
            self.paths.insert(name, (path.clone(), Some(&entry.node)));
            self.add(&entry.node, path);
            path.pop();
        }
    }

    /// All names.
    pub(super) fn all(&self) -> impl Iterator<Item = &str> {
        self.paths.keys().map(String::as_str)
    }

    /// What a variable with this name, without the prefix, is for: a known key, an item of a list, a key chosen by the user in an
    /// open section, or a key of the Go gateway, for which `known` then warns.
    pub(super) fn find(&self, name: &str) -> Option<Name<'s>> {
        self.file(name).or_else(|| self.value(name)).or_else(|| {
            let path = name.to_lowercase().replace('_', ".");
            let is_upstream = upstream::foreign(&path).is_some() || upstream::meant(&path).is_some();
            is_upstream.then(|| Name::of(path.split('.').map(|key| Step::Key(key.to_owned())), None))
        })
    }

    /// A name that ends in `_FILE` and names the file of a value.
    fn file(&self, name: &str) -> Option<Name<'s>> {
        let stem = name.strip_suffix("_FILE").filter(|_| !self.paths.contains_key(name))?;
        // The component reads the file of such a key by itself, and again when it changes.
        if let Some(name) = self.value(&format!("{stem}FILE")).filter(|name| name.known.is_some()) {
            return Some(name);
        }
        let name = self.value(stem)?;
        let is_section = matches!(name.known, Some(Node { value: Value::Map(_), .. }));
        (!is_section).then_some(Name { is_file: true, ..name })
    }

    fn value(&self, name: &str) -> Option<Name<'s>> {
        self.key(name).or_else(|| self.item(name)).or_else(|| {
            let (start, path) = self.open.iter().find(|(start, _)| name.starts_with(start.as_str()))?;
            let key = name[start.len()..].to_lowercase();
            Some(Name::of(path.iter().cloned().chain([key]).map(Step::Key), None))
        })
    }

    fn key(&self, name: &str) -> Option<Name<'s>> {
        let (path, known) = self.paths.get(name)?;
        Some(Name::of(path.iter().cloned().map(Step::Key), *known))
    }

    /// A name with the number of an item of a list.
    fn item(&self, name: &str) -> Option<Name<'s>> {
        let parts: Vec<&str> = name.split('_').collect();
        (1..parts.len()).find_map(|at| {
            let index = parts[at].parse::<usize>().ok().filter(|index| *index <= LARGEST_INDEX)?;
            let list = self.key(&parts[..at].join("_"))?;
            let sample = match list.known.map(|known| &known.value) {
                Some(Value::List(items)) => items.first(),
                // One or a list of texts.
                Some(Value::Null) => None,
                _ => return None,
            };
            let rest = parts[at + 1..].join("_");
            let below = match (rest.is_empty(), sample) {
                (true, _) => Name::of([], sample),
                (false, Some(sample)) => Names::of_section(sample).value(&rest)?,
                (false, None) => return None,
            };
            let steps = list.steps.into_iter().chain([Step::Index(index)]).chain(below.steps);
            Some(Name::of(steps, below.known))
        })
    }
}

impl<'s> Name<'s> {
    fn of(steps: impl IntoIterator<Item = Step>, known: Option<&'s Node>) -> Self {
        Self { steps: steps.into_iter().collect(), known, is_file: false }
    }

    /// The path as it is shown.
    pub(super) fn shown(&self) -> String {
        let mut path = String::new();
        for step in &self.steps {
            if !path.is_empty() && matches!(step, Step::Key(_)) {
                path.push('.');
            }
            path.push_str(&step.to_string());
        }
        path
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Index(index) => write!(formatter, "[{index}]"),
            Self::Key(key) => formatter.write_str(key),
        }
    }
}

fn variable(path: &str) -> String {
    path.replace('.', "_").to_uppercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_key_an_item_or_a_file() {
        let names = Names::of(sample::described());
        for (name, path, is_file) in [
            ("KAFKA_SASL_PASSWORD", "kafka.sasl.password", false),
            ("KAFKA_SASL_PASSWORD_FILE", "kafka.sasl.passwordFile", false),
            ("SERVICE_CONSUL_CLIENT_TOKEN_FILE", "service.consul.client.tokenFile", false),
            ("INBOUND_AUTHKEY_FILE", "inbound.authKey", true),
            ("INBOUND_AUTHKEY_1_FILE", "inbound.authKey[1]", true),
            ("PRIMARY_CERTIFICATEFILE_0", "primary.certificateFile[0]", false),
            ("KAFKA_BROKERS_12", "kafka.brokers[12]", false),
            ("KAFKA_ALLOW_AUTO_TOPIC_CREATION", "kafka.allow_auto_topic_creation", false),
            (
                "KAFKA_INITIALDYNAMICCONFIG_TOPICMAP_1_HASHKEY",
                "kafka.initialDynamicConfig.topicMap[1].hashKey",
                false,
            ),
            (
                "SERVICE_CONSUL_REGISTRATIONS_0_CHECKS_1_HTTP",
                "service.consul.registrations[0].checks[1].http",
                false,
            ),
            ("SERVICE_CONSUL_REGISTRATIONS_0_META_X_Y", "service.consul.registrations[0].meta.x_y", false),
            ("DEVICE_OUTBOUND_EVENTENDPOINTS_DEFAULT", "device.outbound.eventEndpoints.default", false),
            ("DEVICE_OUTBOUND_EVENTENDPOINTS_DEFAULT_FILE", "device.outbound.eventEndpoints.default", true),
            ("LOG_FILE", "log.file", false),
        ] {
            let found = names.find(name).unwrap_or_else(|| panic!("{name}"));
            assert_eq!((found.shown().as_str(), found.is_file), (path, is_file), "{name}");
        }
        for name in
            ["KAFKA_BROKERS_1000", "KAFKA_SASL_0", "KAFKA_BROKERS_0_X", "KAFKA_SASL_FILE", "_FILE", ""]
        {
            assert!(names.find(name).is_none(), "{name}");
        }
    }
}
