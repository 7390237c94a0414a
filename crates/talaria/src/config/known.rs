//! Checks that keys are known. The sample lists all keys; a key that is not in it is misspelt, or one of the Go
//! gateway's that has no effect here.
//!
//! Values are not checked here, except that a section must be a section. Start reading at [`check`].

use super::fault::{Fault, Report, UNKNOWN_KEY};
use super::sample;
use super::tree::{Entry, Node, Value};
use super::upstream::{self, Foreign, foreign};

/// Other names of a key, each with the name in the sample (contract §14.2).
pub(super) const ALIASES: [(&str, &str); 6] = [
    // The Go gateway's sample describes the rotation of its log there, although it is not read.
    ("log.maxsize", "zap.rotation.maxSize"),
    ("log.maxage", "zap.rotation.maxAge"),
    ("log.maxbackups", "zap.rotation.maxBackups"),
    ("log.compress", "zap.rotation.compress"),
    ("kafka.initialDynamicConfig.compressionCodec", "kafka.initialDynamicConfig.compression"),
    ("kafka.allow_auto_topic_creation", "kafka.allowAutoTopicCreation"),
];

/// The similarity, from 0 to 1, from which on a known key is suggested for an unknown one.
const SIMILAR: f64 = 0.6;

/// The similarity from which on a known key is suggested for a key of the Go gateway that has no effect.
const MISSPELT: f64 = 0.85;

/// Renames keys with another name to their name in the sample.
pub(super) fn rename_aliases(layer: &mut Node, report: &mut Report) {
    for (alias, name) in ALIASES {
        let alias_path: Vec<&str> = alias.split('.').collect();
        let path: Vec<&str> = name.split('.').collect();
        let Some(node) = layer.remove(&alias_path) else { continue };
        match layer.at(path.iter().copied()) {
            None | Some(Node { value: Value::Null, .. }) => layer.set(&path, node),
            Some(other) if other.value == node.value => {}
            Some(_) => {
                report.warn(alias, format!("is ignored because {name} is set too"), Some(&node.origin));
            }
        }
    }
}

/// Compares the keys of a layer with those of the sample. An unknown key is a warning; a value where a section is
/// expected, and a key that is given twice in different case, are faults.
pub(super) fn check(layer: &Node, sample: &Node, report: &mut Report) {
    Check { root: sample, report }.section("", layer, sample);
}

struct Check<'a> {
    root: &'a Node,
    report: &'a mut Report,
}

impl Check<'_> {
    fn section(&mut self, path: &str, layer: &Node, sample: &Node) {
        for (at, entry) in layer.entries().iter().enumerate() {
            let node = &entry.node;
            if let Some(first) = layer.entries()[..at].iter().find(|e| e.key.eq_ignore_ascii_case(&entry.key))
            {
                let problem = format!("is given twice, first as {:?} ({})", first.key, first.node.origin);
                self.report.fault(join(path, &entry.key), problem, Some(&node.origin));
                continue;
            }
            match sample.entries().iter().find(|known| known.key.eq_ignore_ascii_case(&entry.key)) {
                Some(known) => self.known(&join(path, &known.key), node, &known.node),
                None => self.unknown(path, entry, &layer.entries()[..at], sample),
            }
        }
    }

    fn known(&mut self, path: &str, node: &Node, sample: &Node) {
        match (&node.value, &sample.value) {
            (Value::Null, _) => {}
            (Value::Map(_), _) if sample::is_open(sample) => {}
            // The Go gateway's sample has `headers: []`.
            (Value::List(items), Value::Map(_)) if items.is_empty() => {}
            (Value::Map(_), Value::Map(_)) => self.section(path, node, sample),
            (Value::Text(text), Value::Map(_)) if looks_like_a_key(text) => {
                self.report.faults.push(Fault::unexpected(path, node, "a section, with `: ` after each key"));
            }
            (_, Value::Map(_)) => {
                self.report.faults.push(Fault::unexpected(path, node, "a section"));
            }
            (Value::List(items), Value::List(samples)) => {
                let Some(sample) = samples.first() else { return };
                for (at, item) in items.iter().enumerate() {
                    self.section(&format!("{path}[{at}]"), item, sample);
                }
            }
            _ => {}
        }
    }

    /// `above` are the entries of the same section that stand before it.
    fn unknown(&mut self, section: &str, entry: &Entry, above: &[Entry], sample: &Node) {
        let (key, node) = (entry.key.as_str(), &entry.node);
        let path = join(section, key);
        match foreign(&path) {
            _ if node.value.is_blank() => {}
            Some((_, Foreign::NoEffect)) => {
                // A key that is very similar to a known one was probably meant to be that one.
                let names = sample.entries().iter().map(|entry| entry.key.as_str());
                if let Some(near) = most_similar(key, names, MISSPELT) {
                    let problem =
                        format!("has no effect here and is ignored; did you mean {}?", join(section, near));
                    self.report.warn(path, problem, Some(&node.origin));
                }
            }
            // A false turns nothing on that would be missed.
            Some((_, Foreign::Ignored(_))) if node.value == Value::Bool(false) => {}
            Some((name, Foreign::Ignored(problem))) => self.report.warn(name, problem, Some(&node.origin)),
            None => {
                let problem = match not_indented(key, above, sample) {
                    Some(meant) => format!(
                        "{UNKNOWN_KEY}; did you mean {}.{key}? Then indent it more than {meant}:",
                        join(section, meant)
                    ),
                    None => unknown_key(self.nearest(section, key, sample).as_deref()),
                };
                self.report.warn(path, problem, Some(&node.origin));
            }
        }
    }

    /// The known key that was probably meant: what is known of the Go gateway's keys, one of the same section with a very similar
    /// name, one with this name in another section, the nearest first, or one of the same section with a similar name.
    fn nearest(&self, section: &str, key: &str, sample: &Node) -> Option<String> {
        let names = || sample.entries().iter().map(|entry| entry.key.as_str());
        let path = join(section, key);
        if let Some(meant) = upstream::meant(&path) {
            return Some(meant);
        }
        let sibling = |at_least| most_similar(key, names(), at_least).map(|name| join(section, name));
        sibling(MISSPELT).or_else(|| elsewhere(self.root, key, section)).or_else(|| sibling(SIMILAR))
    }
}

/// The section to which the key probably belongs although it is not indented: the nearest one above it, if that is empty and
/// may have this key.
fn not_indented<'s>(key: &str, above: &[Entry], sample: &'s Node) -> Option<&'s str> {
    let known = |key: &str| sample.entries().iter().find(|known| known.key.eq_ignore_ascii_case(key));
    let empty = above.iter().rev().find_map(|entry| Some((entry, known(&entry.key)?)));
    let (_, section) = empty.filter(|(entry, _)| entry.node.value == Value::Null)?;
    let has_key = section.node.entries().iter().any(|below| below.key.eq_ignore_ascii_case(key));
    has_key.then_some(section.key.as_str())
}

/// Whether a text is probably a key with a value (`address:':80'`, `enabled true`) that YAML takes for a text.
fn looks_like_a_key(text: &str) -> bool {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(text.len());
    let rest = text[end..].strip_prefix([':', ' ']);
    // `kafka: localhost:9092` is an address.
    end > 0
        && rest.is_some_and(|value| {
            !value.is_empty() && !value.starts_with(|c: char| c.is_ascii_digit() || c == '/')
        })
}

/// What is said of an unknown key, for which this one may be meant.
pub(super) fn unknown_key(near: Option<&str>) -> String {
    match near {
        Some(near) => format!("{UNKNOWN_KEY}; did you mean {near}?"),
        None => UNKNOWN_KEY.to_owned(),
    }
}

/// The most similar name, if one is similar enough to be suggested.
pub(super) fn closest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    most_similar(name, names, SIMILAR)
}

fn most_similar<'a>(name: &str, names: impl Iterator<Item = &'a str>, at_least: f64) -> Option<&'a str> {
    let name = name.to_ascii_lowercase();
    names
        .map(|known| (strsim::normalized_damerau_levenshtein(&name, &known.to_ascii_lowercase()), known))
        .filter(|(similarity, _)| *similarity >= at_least)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, known)| known)
}

/// The path of a key with this name in another section: of those that share the longest beginning with `section`, the first.
fn elsewhere(root: &Node, key: &str, section: &str) -> Option<String> {
    let mut found = Vec::new();
    collect_named(root, "", key, &mut found);
    let shared = |path: &String| {
        let keys = path.split('.').zip(section.split('.'));
        keys.take_while(|(one, other)| one.eq_ignore_ascii_case(other)).count()
    };
    // Of equals the last one would be the greatest.
    found.into_iter().rev().max_by_key(shared)
}

fn collect_named(node: &Node, path: &str, key: &str, found: &mut Vec<String>) {
    if let Value::List(items) = &node.value
        && let Some(item) = items.first()
    {
        collect_named(item, &format!("{path}[0]"), key, found);
    }
    for entry in node.entries() {
        let path = join(path, &entry.key);
        if entry.key.eq_ignore_ascii_case(key) {
            found.push(path.clone());
        }
        collect_named(&entry.node, &path, key, found);
    }
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
