//! The sample configuration, which is also the defaults, and what else it describes.
//!
//! A list that is empty by default has an entry below it in comments that begin with `#-` and go on with `#` and two blanks.
//! That entry says which keys an item of the list may have. A section that is empty (`{}`) may have any keys.

mod comments;

use std::borrow::Cow;
use std::sync::LazyLock;

use super::tree::{Node, Origin, Value};
use super::yaml;

pub(super) use comments::{Comments, comments};

/// The sample configuration: every key with its default and a comment.
pub const SAMPLE: &str = include_str!("../../defaults.yaml");

/// The defaults. The tests fail if the sample is not valid YAML.
pub(super) fn tree() -> &'static Node {
    static TREE: LazyLock<Node> = LazyLock::new(|| parse(SAMPLE));
    &TREE
}

/// The defaults, with one item in each list of sections.
pub(super) fn described() -> &'static Node {
    static DESCRIBED: LazyLock<Node> = LazyLock::new(|| parse(&described_text()));
    &DESCRIBED
}

/// The sample, with the entries in its comments as items of their lists. Each line keeps its number.
pub(super) fn described_text() -> String {
    let mut text = String::with_capacity(SAMPLE.len());
    let mut is_in_item = false;
    let mut list = 0;
    for line in SAMPLE.lines() {
        let body = line.trim_start();
        let indent = &line[..line.len() - body.len()];
        let is_start = body.starts_with("#-");
        let item = body.strip_prefix('#').filter(|rest| is_start || is_in_item && rest.starts_with("  "));
        if is_start
            && !is_in_item
            && let Some(at) = text[list..].find("[]")
        {
            text.replace_range(list + at..list + at + 2, "");
        }
        is_in_item = item.is_some();
        list = text.len();
        match item {
            Some(item) => text.extend([indent, item, "\n"]),
            None => text.extend([line, "\n"]),
        }
    }
    text
}

/// Whether the user chooses the keys of this section of the described sample.
pub(super) fn is_open(section: &Node) -> bool {
    matches!(&section.value, Value::Map(entries) if entries.is_empty())
}

/// The key of the sample whose value the file is for that this key names: `authKey` for `authKeyFile`. A key that is itself in the
/// sample (`certificateFile`) is no such key.
pub(super) fn value_of_file_key<'s>(section: &'s Node, key: &str) -> Option<(&'s str, &'s Node)> {
    let stem = key.len().checked_sub(FILE.len()).filter(|at| key.is_char_boundary(*at))?;
    let (name, ending) = key.split_at(stem);
    if !ending.eq_ignore_ascii_case(FILE) || section.at([key]).is_some() {
        return None;
    }
    let entry = section.entries().iter().find(|entry| entry.key.eq_ignore_ascii_case(name))?;
    (!matches!(entry.node.value, Value::Map(_))).then_some((entry.key.as_str(), &entry.node))
}

/// The key that names the file of a value.
pub(super) fn file_key(key: &str) -> Cow<'_, str> {
    Cow::Owned(format!("{key}{FILE}"))
}

/// Where a layer sets a secret and the layers below the file of that secret (`password` and `passwordFile`, keys of the sample both), or
/// the other way round, what is below gives way.
pub(super) fn drop_counterparts(tree: &mut Node, layer: &Node) {
    let (Value::Map(below), Value::Map(above)) = (&mut tree.value, &layer.value) else { return };
    let counterpart = |one: &str, other: &str| {
        one.len() == other.len() + FILE.len() && one.to_lowercase() == format!("{other}{FILE}").to_lowercase()
    };
    for entry in below {
        if let Some(layer) = layer.at([entry.key.as_str()]) {
            drop_counterparts(&mut entry.node, layer);
        } else if matches!(entry.node.value, Value::Text(_))
            && above.iter().any(|above| {
                let are_two = counterpart(&entry.key, &above.key) || counterpart(&above.key, &entry.key);
                are_two && !above.node.value.is_blank()
            })
        {
            entry.node.value = Value::Text(String::new());
        }
    }
}

/// The ending of a key that names the file of a value.
const FILE: &str = "File";

fn parse(text: &str) -> Node {
    yaml::defaults(text)
        .unwrap_or(Node { value: Value::Map(Vec::new()), origin: Origin::Default { line: 1 } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_empty_list_with_an_entry_in_its_comments_has_it_as_an_item() {
        let described = described();
        for path in [
            "device.outbound.credentials[0].oauth2.tokenURL",
            "service.consul.registrations[0].checks[0].http",
            "service.consul.watches[0].queryOptions.token",
            "service.zookeeper.registrations[0].path",
            "jwtValidator.Config.Refresh.Sources[0].interval",
            "inbound.jwt.Config.Refresh.Sources[0].jitter",
            "deviceAccessCheck.checks[0].inputValue",
            "kafka.initialDynamicConfig.topicMap[0].filter.allow[0].key",
        ] {
            assert!(described.at(path.split('.')).is_some(), "{path}");
        }
        assert_eq!(described_text().lines().count(), SAMPLE.lines().count());
    }

    #[test]
    fn the_key_of_a_file_is_that_of_a_value_with_an_ending() {
        let inbound = described().at(["inbound"]).unwrap();
        let name = |section, key| value_of_file_key(section, key).map(|(name, _)| name);
        assert_eq!(name(inbound, "AUTHKEYFILE"), Some("authKey"));
        assert_eq!(name(inbound, "throttleFile"), None, "a section");
        assert_eq!(name(inbound, "File"), None);
        assert_eq!(
            name(described().at(["kafka", "sasl"]).unwrap(), "passwordFile"),
            None,
            "a key of its own"
        );
    }
}
