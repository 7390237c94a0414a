//! Which senders' messages a route accepts (`filter`), as it is written.

use std::fmt;

/// Rules over what is known of a message's sender (`filter`). `deny` wins over `allow`. An empty filter, the default,
/// accepts every sender.
///
/// The keys of the rules are those of the caller's [`Attributes`](crate::Attributes).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// At least one of these rules must match; if there are none, every sender is allowed.
    pub allow: Vec<Rule>,
    /// None of these rules may match.
    pub deny: Vec<Rule>,
}

/// One rule. It matches if its key is known of the sender and the value passes all tests.
///
/// A key that is not known matches no rule: it neither allows nor denies. A list passes if one of its items passes all
/// tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// Which attribute is tested, as the caller's [`Attributes`](crate::Attributes) name it.
    pub key: String,
    /// What the attribute is compared with; at least one.
    pub tests: Vec<Test>,
}

/// A comparison. Texts are compared byte for byte; a number is compared with a text as it is printed (`1000`). Numbers
/// are compared with numbers, and with texts that are numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The value is this text (`is`).
    Is(String),
    /// The value is one of these texts (`in`).
    In(Vec<String>),
    /// The value begins with this text (`prefix`).
    Prefix(String),
    /// The value is a number in this relation to the given one (`eq`, `lt`, `le`, `gt`, `ge`).
    Number(Relation, Number),
}

/// The order of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// Equal.
    Eq,
    /// Less.
    Lt,
    /// Less or equal.
    Le,
    /// Greater.
    Gt,
    /// Greater or equal.
    Ge,
}

/// A finite number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(f64);

impl Filter {
    /// Whether every sender is accepted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// The keys of all rules.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.allow.iter().chain(&self.deny).map(|rule| rule.key.as_str())
    }
}

impl Rule {
    /// A rule of one test.
    #[must_use]
    pub fn new(key: impl Into<String>, test: Test) -> Self {
        Self { key: key.into(), tests: vec![test] }
    }
}

impl Relation {
    /// Every relation, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::Eq, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    /// The relation's name in a rule.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eq => "eq",
            Self::Lt => "lt",
            Self::Le => "le",
            Self::Gt => "gt",
            Self::Ge => "ge",
        }
    }

    /// Whether the first number is in this relation to the second.
    pub(crate) fn holds(self, first: Number, second: Number) -> bool {
        match self {
            Self::Eq => first.0 == second.0,
            Self::Lt => first.0 < second.0,
            Self::Le => first.0 <= second.0,
            Self::Gt => first.0 > second.0,
            Self::Ge => first.0 >= second.0,
        }
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Number {
    /// The number, if it is finite.
    #[must_use]
    pub fn new(number: f64) -> Option<Self> {
        number.is_finite().then_some(Self(number))
    }
}

/// Every finite number is equal to itself.
impl Eq for Number {}

impl From<i32> for Number {
    fn from(number: i32) -> Self {
        Self(f64::from(number))
    }
}
