//! Which senders' messages a route takes, as the user wrote it.

use std::fmt;

/// Rules over what is known of a message's sender (`filter`). A rule that holds says yes; `deny` wins over `allow`.
///
/// The keys and their values are those of the caller's [`Attributes`](crate::Attributes). An empty filter, the default,
/// takes everybody's messages.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// At least one of these must hold; none: every sender is allowed.
    pub allow: Vec<Rule>,
    /// None of these may hold.
    pub deny: Vec<Rule>,
}

/// One rule: it holds if its key is known and passes all tests.
///
/// A key that is not known holds in no rule: it does not allow, and it does not deny. Of a list it is enough that one
/// item passes all tests.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// What is looked at, as the caller's [`Attributes`](crate::Attributes) name it.
    pub key: String,
    /// What it is compared with; at least one.
    pub tests: Vec<Test>,
}

/// A comparison. Texts are compared byte for byte, and a number with a text as it is printed (`1000`); numbers are
/// compared with numbers, and with texts that are one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// It is this text (`is`).
    Is(String),
    /// It is one of these texts (`in`).
    In(Vec<String>),
    /// It begins with this text (`prefix`).
    Prefix(String),
    /// It is a number that stands so to the given one (`eq`, `lt`, `le`, `gt`, `ge`).
    Number(Relation, Number),
}

/// How two numbers stand to each other.
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

/// A number that is one: finite.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Number(f64);

impl Filter {
    /// Whether it takes everybody's messages.
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
    pub fn new(key: impl Into<String>, test: Test) -> Rule {
        Rule { key: key.into(), tests: vec![test] }
    }
}

impl Relation {
    /// Every relation, in the order of the enum.
    pub const ALL: [Relation; 5] = [Relation::Eq, Relation::Lt, Relation::Le, Relation::Gt, Relation::Ge];

    /// As a rule names it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Relation::Eq => "eq",
            Relation::Lt => "lt",
            Relation::Le => "le",
            Relation::Gt => "gt",
            Relation::Ge => "ge",
        }
    }

    /// Whether the first number stands so to the second.
    pub(crate) fn holds(self, first: Number, second: Number) -> bool {
        match self {
            Relation::Eq => first.0 == second.0,
            Relation::Lt => first.0 < second.0,
            Relation::Le => first.0 <= second.0,
            Relation::Gt => first.0 > second.0,
            Relation::Ge => first.0 >= second.0,
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
    pub fn new(number: f64) -> Option<Number> {
        number.is_finite().then_some(Number(number))
    }
}

/// Every finite number is equal to itself.
impl Eq for Number {}

impl From<i32> for Number {
    fn from(number: i32) -> Number {
        Number(f64::from(number))
    }
}
