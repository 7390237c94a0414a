//! The sample configuration, which is also the defaults.

use super::tree::{Node, Origin, Value};
use super::yaml;

/// The sample configuration: every key with its default and a comment.
pub const SAMPLE: &str = include_str!("../../../../talaria.yaml");

/// The defaults. The tests fail if the sample is not valid YAML.
pub(super) fn tree() -> Node {
    yaml::defaults(SAMPLE)
        .unwrap_or(Node { value: Value::Map(Vec::new()), origin: Origin::Default { line: 1 } })
}
