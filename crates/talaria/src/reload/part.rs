//! A component whose settings can change, seen from the whole configuration.

use std::sync::Arc;

use crate::config::Config;
use crate::live::{Change, Live, PrepareError, TakesEffect};

/// A component, its keys, and how it prepares a change.
pub struct Part {
    keys: Vec<Key>,
    reads_files: bool,
    prepare: Option<Box<Prepare>>,
}

/// Prepares the part's change to a configuration.
pub(super) type Prepare = dyn Fn(&Config) -> Result<Change, PrepareError> + Send + Sync;

/// A key or a section of the configuration that belongs to a component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// The whole path, such as `primary.address`.
    pub path: String,
    /// When a change of it takes effect.
    pub takes_effect: TakesEffect,
}

impl Part {
    /// A component that runs. Its section is at this path, empty for the whole configuration; `settings` are those of the
    /// component in a configuration, none if it does not run with that one.
    pub fn new<C, L: Live<C> + 'static>(
        section: &str,
        component: Arc<L>,
        settings: impl Fn(&Config) -> Option<C> + Send + Sync + 'static,
    ) -> Self {
        Self {
            keys: Key::all::<C, L>(section),
            reads_files: L::READS_FILES,
            prepare: Some(Box::new(move |config| match settings(config) {
                Some(settings) => component.prepare(&settings),
                None => Ok(Box::new(|| {})),
            })),
        }
    }

    /// Settings that take effect at the next start only: those of components that do not run or do not change.
    #[must_use]
    pub fn at_start(keys: &[(&str, &'static str)]) -> Self {
        Self { keys: Key::all_at_start(keys), reads_files: false, prepare: None }
    }

    /// Its keys.
    #[must_use]
    pub fn keys(&self) -> &[Key] {
        &self.keys
    }

    /// How it prepares a change in which these keys are taken up; none if that is not its matter.
    pub(super) fn concerned(&self, live: &[String]) -> Option<&Prepare> {
        let is_concerned = self.reads_files || live.iter().any(|path| self.owns(path));
        self.prepare.as_deref().filter(|_| is_concerned)
    }

    /// Whether the value at this path is its matter.
    #[must_use]
    pub fn owns(&self, path: &str) -> bool {
        self.keys.iter().any(|key| key.contains(path))
    }
}

impl Key {
    /// The keys of a component whose section is at this path.
    #[must_use]
    pub fn all<C, L: Live<C>>(section: &str) -> Vec<Self> {
        let path = |key: &str| match (section, key) {
            ("", key) => key.to_owned(),
            (section, "") => section.to_owned(),
            (section, key) => format!("{section}.{key}"),
        };
        let key = |setting: &crate::live::Setting| Self {
            path: path(setting.key),
            takes_effect: setting.takes_effect,
        };
        L::SETTINGS.iter().map(key).collect()
    }

    /// Keys that take effect at the next start, with the reasons.
    #[must_use]
    pub fn all_at_start(keys: &[(&str, &'static str)]) -> Vec<Self> {
        let key = |(path, reason): &(&str, &'static str)| Self {
            path: (*path).to_owned(),
            takes_effect: TakesEffect::AtStart(reason),
        };
        keys.iter().map(key).collect()
    }

    /// Whether a path is this key or below it, without regard to case.
    pub(super) fn contains(&self, path: &str) -> bool {
        let length = self.path.len();
        path.get(..length).is_some_and(|start| start.eq_ignore_ascii_case(&self.path))
            && matches!(path.as_bytes().get(length), None | Some(b'.' | b'['))
    }
}

/// When a change of the value at this path takes effect: the longest key decides.
pub fn takes_effect<'k>(keys: impl IntoIterator<Item = &'k Key>, path: &str) -> TakesEffect {
    let keys = keys.into_iter().filter(|key| key.contains(path));
    keys.max_by_key(|key| key.path.len())
        .map_or(TakesEffect::AtStart("no component takes it up while it runs"), |key| key.takes_effect)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_start(path: &str) -> Key {
        Key { path: path.to_owned(), takes_effect: TakesEffect::AtStart("") }
    }

    #[test]
    fn a_key_that_only_begins_like_a_section_is_not_in_it() {
        assert!(
            at_start("kafka.tls").contains("Kafka.TLS.caFile") && at_start("kafka.tls").contains("kafka.tls")
        );
        assert!(!at_start("kafka.tls").contains("kafka.tlsx") && !at_start("kafka.tls").contains("kafka"));
    }

    #[test]
    fn the_longest_key_decides() {
        let parts = [Part::at_start(&[("a", "one"), ("a.b.c", "three")]), Part::at_start(&[("a.b", "two")])];
        for (path, reason) in [("a.x", "one"), ("a.b", "two"), ("a.b.c.d", "three")] {
            assert_eq!(
                takes_effect(parts.iter().flat_map(Part::keys), path),
                TakesEffect::AtStart(reason),
                "{path}"
            );
        }
    }
}
