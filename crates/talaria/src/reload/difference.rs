//! What a change to another configuration would change (`talaria config --diff`, contract §9.2).

use std::fmt;

use super::part::{Key, takes_effect};
use crate::config::shown_at;
use crate::config::tree::Node;
use crate::live::TakesEffect;

/// A key with another value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Its path.
    pub key: String,
    /// Its value now; a secret is masked.
    pub before: String,
    /// Its other value.
    pub after: String,
    /// When the change takes effect.
    pub takes_effect: TakesEffect,
}

/// The keys whose values differ, of two whole configurations, in the order of the first. `keys` says when a change takes effect.
#[must_use]
pub fn differences(before: &Node, after: &Node, keys: &[Key]) -> Vec<Difference> {
    let difference = |key: String| Difference {
        before: shown_at(before, &key),
        after: shown_at(after, &key),
        takes_effect: takes_effect(keys, &key),
        key,
    };
    before.changed(after).into_iter().map(difference).collect()
}

/// One line: `key: before → after (when)`.
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &str| if value.is_empty() { "(none)".to_owned() } else { value.to_owned() };
        write!(f, "{}: {} → {} ", self.key, shown(&self.before), shown(&self.after))?;
        match self.takes_effect {
            TakesEffect::Live => f.write_str("(at once)"),
            TakesEffect::AtStart(reason) => write!(f, "(at the next start: {reason})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::yaml;

    #[test]
    fn each_key_has_its_values_without_secrets_and_when_a_change_takes_effect() {
        let tree = |text| yaml::control(text).unwrap();
        let keys = Key::all_at_start(&[("region", "it is in every response")]);
        let before = tree("region: east\nkafka: {sasl: {password: one}, brokers: [a:1]}\nserver: x\n");
        let after = tree("region: west\nkafka: {sasl: {password: two}, brokers: []}\nserver: x\n");
        let lines: Vec<String> =
            differences(&before, &after, &keys).iter().map(ToString::to_string).collect();
        assert_eq!(
            lines,
            [
                "region: east → west (at the next start: it is in every response)",
                "kafka.sasl.password: \"********\" → \"********\" (at the next start: no component takes it up while it runs)",
                "kafka.brokers: [\"a:1\"] → [] (at the next start: no component takes it up while it runs)",
            ]
        );
    }
}
