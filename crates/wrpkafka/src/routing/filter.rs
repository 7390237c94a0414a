//! Applies the rules of a route to what is known of a message's sender (`filter`).

use std::borrow::Cow;

use super::filtered::FilteredBy;
use crate::config::{Filter, Number, Relation, Rule, Test};

/// What is known of a message's sender. The caller defines the keys; the filters of the configuration name them.
///
/// ```
/// use std::collections::BTreeMap;
/// use wrpkafka::{Attribute, Attributes};
///
/// struct Labels(BTreeMap<String, String>);
///
/// impl Attributes for Labels {
///     fn get(&self, key: &str) -> Option<Attribute<'_>> {
///         self.0.get(key).map(|value| Attribute::from(value.as_str()))
///     }
/// }
/// ```
pub trait Attributes: Sync {
    /// The value of a key; none if it is not known. It must not change while a [`CachedVerdict`](crate::CachedVerdict)
    /// is kept for the sender.
    fn get(&self, key: &str) -> Option<Attribute<'_>>;
}

/// One attribute of a sender.
#[derive(Debug, Clone, PartialEq)]
pub enum Attribute<'a> {
    /// A text, UTF-8 or not.
    Text(Cow<'a, [u8]>),
    /// A number.
    Number(f64),
    /// Several values: a rule matches if one of them passes its tests.
    List(Vec<Self>),
}

impl<'a> From<&'a str> for Attribute<'a> {
    fn from(text: &'a str) -> Self {
        Attribute::Text(Cow::Borrowed(text.as_bytes()))
    }
}

impl<'a> From<&'a [u8]> for Attribute<'a> {
    fn from(text: &'a [u8]) -> Self {
        Attribute::Text(Cow::Borrowed(text))
    }
}

/// A route's filter, ready for use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CompiledFilter {
    allow: Box<[Rule]>,
    deny: Box<[Rule]>,
}

/// What is wrong with a rule of a filter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RuleError {
    #[error("is missing: expected what the rule looks at")]
    NoKey,
    #[error("compares with nothing: expected one of is, in, prefix, eq, lt, le, gt, ge")]
    NoTest,
    #[error("is empty: expected at least one text")]
    EmptySet,
}

impl RuleError {
    /// The key at fault, as a suffix of the rule's own key.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::NoKey => ".key",
            Self::NoTest => "",
            Self::EmptySet => ".in",
        }
    }
}

/// Checks that a rule can be applied.
pub(crate) fn check_rule(rule: &Rule) -> Result<(), RuleError> {
    if rule.key.is_empty() {
        Err(RuleError::NoKey)
    } else if rule.tests.is_empty() {
        Err(RuleError::NoTest)
    } else if rule.tests.iter().any(|test| matches!(test, Test::In(texts) if texts.is_empty())) {
        Err(RuleError::EmptySet)
    } else {
        Ok(())
    }
}

impl CompiledFilter {
    /// The rules must have passed [`check_rule`].
    pub(crate) fn new(filter: &Filter) -> Self {
        Self { allow: filter.allow.clone().into(), deny: filter.deny.clone().into() }
    }

    /// The setting that rejects a sender; none if the filter accepts the sender.
    pub(crate) fn rejects(&self, sender: Option<&dyn Attributes>) -> Option<FilteredBy> {
        let matches = |rule: &Rule| {
            sender.and_then(|sender| sender.get(&rule.key)).is_some_and(|value| passes(&value, &rule.tests))
        };
        if self.deny.iter().any(matches) {
            Some(FilteredBy::Deny)
        } else if self.allow.is_empty() || self.allow.iter().any(matches) {
            None
        } else {
            Some(FilteredBy::Allow)
        }
    }
}

/// Whether a value passes all tests. A list passes if one of its items does.
fn passes(value: &Attribute<'_>, tests: &[Test]) -> bool {
    match value {
        Attribute::List(items) => items.iter().any(|item| passes(item, tests)),
        Attribute::Text(text) => {
            let number = || str::from_utf8(text).ok()?.trim().parse().ok().and_then(Number::new);
            tests.iter().all(|test| match test {
                Test::Number(relation, other) => number().is_some_and(|it| relation.holds(it, *other)),
                _ => passes_text(text, test),
            })
        }
        Attribute::Number(number) => tests.iter().all(|test| match test {
            Test::Number(relation, other) => holds(*relation, *number, *other),
            _ => passes_text(number.to_string().as_bytes(), test),
        }),
    }
}

fn holds(relation: Relation, number: f64, other: Number) -> bool {
    Number::new(number).is_some_and(|number| relation.holds(number, other))
}

fn passes_text(text: &[u8], test: &Test) -> bool {
    match test {
        Test::Is(wanted) => text == wanted.as_bytes(),
        Test::In(wanted) => wanted.iter().any(|wanted| text == wanted.as_bytes()),
        Test::Prefix(prefix) => text.starts_with(prefix.as_bytes()),
        Test::Number(..) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device of partner sky: a text, a number, a number as text, a list.
    struct Sky;

    impl Attributes for Sky {
        fn get(&self, key: &str) -> Option<Attribute<'_>> {
            Some(match key {
                "partner-id" => "sky".into(),
                "trust" => Attribute::Number(1000.0),
                "boot-time" => "1542834188".into(),
                "fw-name" => "TEST_1.2".into(),
                "raw" => b"\xff"[..].into(),
                "groups" => Attribute::List(vec!["a".into(), Attribute::Number(7.0)]),
                _ => return None,
            })
        }
    }

    fn number(relation: Relation, number: i32) -> Test {
        Test::Number(relation, number.into())
    }

    fn holds(key: &str, tests: Vec<Test>) -> bool {
        let filter = Filter { deny: vec![Rule { key: key.to_owned(), tests }], ..Filter::default() };
        CompiledFilter::new(&filter).rejects(Some(&Sky)).is_some()
    }

    #[test]
    fn texts_are_compared_whole_by_prefix_and_with_a_set() {
        for (key, test, expected) in [
            ("partner-id", Test::Is("sky".to_owned()), true),
            ("partner-id", Test::Is("Sky".to_owned()), false),
            ("partner-id", Test::In(vec!["comcast".to_owned(), "sky".to_owned()]), true),
            ("partner-id", Test::In(vec!["sk".to_owned()]), false),
            ("fw-name", Test::Prefix("TEST_".to_owned()), true),
            ("fw-name", Test::Prefix("TEST_1.2.3".to_owned()), false),
            ("raw", Test::Is("\u{ff}".to_owned()), false),
            ("trust", Test::Is("1000".to_owned()), true),
            ("trust", Test::Prefix("10".to_owned()), true),
        ] {
            assert_eq!(holds(key, vec![test.clone()]), expected, "{key} {test:?}");
        }
    }

    #[test]
    fn numbers_are_compared_also_where_they_are_written_as_texts() {
        for (key, relation, other, expected) in [
            ("trust", Relation::Eq, 1000, true),
            ("trust", Relation::Lt, 1000, false),
            ("trust", Relation::Le, 1000, true),
            ("trust", Relation::Gt, 999, true),
            ("trust", Relation::Ge, 1001, false),
            ("boot-time", Relation::Gt, 1_500_000_000, true),
            ("partner-id", Relation::Ge, 0, false),
            ("partner-id", Relation::Lt, 0, false),
            ("raw", Relation::Ge, 0, false),
        ] {
            assert_eq!(holds(key, vec![number(relation, other)]), expected, "{key} {relation} {other}");
        }
    }

    #[test]
    fn all_tests_of_a_rule_must_pass_and_of_a_list_one_item_must_pass_them_all() {
        assert!(holds("trust", vec![number(Relation::Ge, 500), number(Relation::Lt, 2000)]));
        assert!(!holds("trust", vec![number(Relation::Ge, 500), number(Relation::Lt, 600)]));
        assert!(holds("groups", vec![Test::Is("a".to_owned())]));
        assert!(holds("groups", vec![number(Relation::Eq, 7)]));
        assert!(!holds("groups", vec![Test::Is("a".to_owned()), number(Relation::Eq, 7)]));
    }

    #[test]
    fn deny_wins_and_a_key_that_is_not_known_neither_allows_nor_denies() {
        let is = |key: &str, text: &str| Rule::new(key, Test::Is(text.to_owned()));
        let sky = || is("partner-id", "sky");
        let (other, unknown) = (is("partner-id", "x"), is("unknown", "x"));
        for (allow, deny, rejected_by) in [
            (vec![], vec![], None),
            (vec![sky()], vec![], None),
            (vec![other.clone(), sky()], vec![other.clone()], None),
            (vec![sky()], vec![sky()], Some(FilteredBy::Deny)),
            (vec![], vec![unknown.clone()], None),
            (vec![unknown], vec![], Some(FilteredBy::Allow)),
            (vec![other], vec![], Some(FilteredBy::Allow)),
        ] {
            let filter = CompiledFilter::new(&Filter { allow, deny });
            assert_eq!(filter.rejects(Some(&Sky)), rejected_by, "{filter:?}");
        }
    }

    #[test]
    fn an_unknown_sender_has_no_attributes() {
        let sky = Rule::new("partner-id", Test::Is("sky".to_owned()));
        let allow = CompiledFilter::new(&Filter { allow: vec![sky.clone()], deny: vec![] });
        let deny = CompiledFilter::new(&Filter { allow: vec![], deny: vec![sky] });
        assert_eq!(allow.rejects(None), Some(FilteredBy::Allow));
        assert_eq!(deny.rejects(None), None);
    }
}
