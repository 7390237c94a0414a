//! Every key with its default, its comment and the values that it accepts: what the schema and the reference page are made of.
//!
//! Defaults and comments are those of the sample; what is accepted is learned from the readers ([`observe`](super::observe)).

use std::cell::RefCell;
use std::sync::LazyLock;

use super::fault::Report;
use super::observe::{Accepted, Observer};
use super::read::Section;
use super::sample::{self, comments, described_text};
use super::tree::{Node, Value};
use super::{Config, yaml};

/// A key of the configuration, or an item of a list.
#[derive(Debug)]
pub(super) struct Described {
    /// Its name; empty for the whole configuration and for items.
    pub(super) key: String,
    /// Its path, with `[]` for an item of a list.
    pub(super) path: String,
    /// What the sample says of it.
    pub(super) comment: String,
    /// Its value in the sample, with one item in each list of sections.
    pub(super) sample: Node,
    /// What it is.
    pub(super) content: Content,
}

/// What is at a key.
#[derive(Debug)]
pub(super) enum Content {
    /// A section with these keys.
    Section(Vec<Described>),
    /// A section whose keys the user chooses. Its values, if that was learned.
    Open(Option<Accepted>),
    /// A list of sections.
    List(Box<Described>),
    /// A value; anything if it was not learned.
    Value(Option<Accepted>),
}

/// With these values every reader reads.
const EVERYTHING: &str = "
primary: {clientCACertFile: ca.pem}
zap: {levels: {x: debug}, initialFields: {x: x}}
alternate: {address: ':1'}
control: {address: ':2'}
jwtValidator: {Config: {Resolve: {Template: 'http://h/{keyID}'}, Refresh: {Sources: [{uri: 'http://h'}]}}}
inbound: {jwt: {Config: {Resolve: {Template: 'http://h/{keyID}'}, Refresh: {Sources: [{uri: 'http://h'}]}}}}
deviceAccessCheck: {type: enforce, checks: [{name: x, deviceCredentialPath: x, op: eq}]}
device:
  outbound:
    partnerWeights: {x: 1}
    credentials:
    - url: https://h
      signature: {keyFile: x}
      tls: {caFile: x, certificateFile: x, keyFile: x}
      oauth2: {tokenURL: 'https://h', clientID: x, clientSecretFile: x, scopes: [x]}
kafka:
  enabled: true
  brokers: ['h:1']
  initialDynamicConfig:
    topicMap: [{pattern: x, topic: x, filter: {allow: [{key: trust, eq: 1}], deny: [{key: trust, eq: 1}]}}]
";

/// What is discovered with is exclusive.
const DISCOVERIES: [&str; 3] = [
    "service: {fixed: ['http://h'], vnodeCount: 5}",
    "service: {zookeeper: {watches: [/x], registrations: [{name: x}], client: {connectTimeout: 6s}}}",
    "service: {consul: {client: {address: 'h:1', waitTime: 1s}, watches: [{service: x, tags: [x], queryOptions: {useCache: true}}], \
     registrations: [{name: x, id: x, tags: [x], port: 1, address: h, kind: x, socketPath: x, enableTagOverride: true, namespace: x, partition: x, \
     checks: [{checkID: x, name: x, args: [x], dockerContainerID: x, shell: x, interval: 1s, timeout: 1s, ttl: 9s, http: x, method: x, body: x, \
     tcp: x, tcpUseTLS: true, udp: x, status: x, notes: x, tlsServerName: x, tlsSkipVerify: true, grpc: x, grpcUseTLS: true, h2ping: x, \
     h2pingUseTLS: true, aliasNode: x, aliasService: x, successBeforePassing: 1, failuresBeforeWarning: 1, failuresBeforeCritical: 1, \
     deregisterCriticalServiceAfter: 1s}]}]}}",
];

/// The whole configuration.
pub(super) fn describe() -> &'static Described {
    static DESCRIBED: LazyLock<Described> = LazyLock::new(|| {
        let comments = comments(&described_text());
        let observer = observe();
        let describe =
            Describe { comments: &|path| comments.get(&path.to_lowercase()).map(|c| c.text()), observer };
        describe.node("", "", sample::described())
    });
    &DESCRIBED
}

#[cfg(test)]
impl Described {
    /// This key and all below it.
    pub(super) fn all(&self) -> Vec<&Self> {
        let mut found = vec![self];
        match &self.content {
            Content::Section(keys) => found.extend(keys.iter().flat_map(Self::all)),
            Content::List(item) => found.extend(item.all()),
            Content::Open(_) | Content::Value(_) => {}
        }
        found
    }
}

struct Describe<'a> {
    comments: &'a dyn Fn(&str) -> Option<String>,
    observer: Observer,
}

impl Describe<'_> {
    fn node(&self, key: &str, path: &str, node: &Node) -> Described {
        let content = match &node.value {
            Value::Map(entries) if entries.is_empty() => {
                Content::Open(self.observer.get(&format!("{path}.x")).cloned())
            }
            Value::Map(entries) => Content::Section(
                entries
                    .iter()
                    .map(|entry| self.node(&entry.key, &join(path, &entry.key), &entry.node))
                    .collect(),
            ),
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                Content::List(Box::new(self.node("", &format!("{path}[]"), &items[0])))
            }
            _ => Content::Value(self.observer.get(path).cloned()),
        };
        Described {
            key: key.to_owned(),
            path: path.to_owned(),
            comment: (self.comments)(path).unwrap_or_default(),
            sample: node.clone(),
            content,
        }
    }
}

/// Lets all readers read, with an observer.
fn observe() -> Observer {
    let observer = RefCell::new(Observer::default());
    let report = RefCell::new(Report::default());
    for discovery in DISCOVERIES {
        let mut tree = sample::tree().clone();
        for text in [EVERYTHING, discovery] {
            // The tests fail if a text is not valid.
            tree.overlay(yaml::defaults(text).unwrap_or_else(|_| sample::tree().clone()));
        }
        let _ = Config::read(&Section::root(&tree, &report).observed_by(&observer));
    }
    observer.into_inner()
}

fn join(path: &str, key: &str) -> String {
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values that are not read by a reader that can be tried: they are read whole, or anything is accepted.
    const NOT_LEARNED: [&str; 1] = ["deviceAccessCheck.checks[].inputValue"];

    #[test]
    fn every_key_of_the_sample_has_a_comment_and_a_reader_that_says_what_it_accepts() {
        let mut missing = Vec::new();
        for described in describe().all() {
            if let Content::Value(None) = described.content
                && !NOT_LEARNED.contains(&described.path.as_str())
            {
                missing.push(format!("{}: no reader", described.path));
            }
        }
        assert_eq!(missing, [""; 0]);
    }
}
