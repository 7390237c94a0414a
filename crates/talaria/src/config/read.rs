//! Reads typed values out of the tree, leniently as the Go gateway does (contract §9.3).
//!
//! A value that cannot be read is a fault and leaves its target unchanged, so that reading goes on and finds the other
//! faults. Start reading at [`Section`].

use std::borrow::Cow;
use std::cell::RefCell;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use talaria_protocol::go::{duration, parse_bool};

use super::fault::{Fault, Report};
use super::observe::Observer;
use super::secret::MASK;
use super::tree::{Node, Origin, Value};

/// The smallest number that is taken for nanoseconds without a warning: a millisecond.
const SHORTEST_WITHOUT_UNIT: i128 = 1_000_000;

/// A type in which a value of the configuration can be read.
pub(super) trait Setting: Sized {
    /// The description of the type, as it follows "expected" in a message.
    const EXPECTED: &'static str;

    /// Converts a value; `None` if it is not of this type. The conversion is lenient: `"5"` is a number, `5` is a text.
    fn read(value: &Value) -> Option<Self>;
}

/// A section of the tree, with its path and the report to which its faults are added.
#[derive(Clone)]
pub(super) struct Section<'t> {
    node: Option<&'t Node>,
    path: String,
    report: &'t RefCell<Report>,
    /// Learns what the readers accept.
    observer: Option<&'t RefCell<Observer>>,
}

impl<'t> Section<'t> {
    /// The root of a tree.
    pub(super) fn root(tree: &'t Node, report: &'t RefCell<Report>) -> Self {
        Section { node: Some(tree), path: String::new(), report, observer: None }
    }

    /// The same section, of which an observer learns what the readers accept.
    pub(super) fn observed_by(self, observer: &'t RefCell<Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// The section at a key; empty if there is none.
    pub(super) fn section(&self, key: &str) -> Self {
        self.at(self.get(key), self.path_of(key))
    }

    /// The items of the list at a key as sections; a single section counts as a list of one.
    pub(super) fn sections(&self, key: &str) -> Vec<Self> {
        let path = self.path_of(key);
        let section = |node, path| self.at(Some(node), path);
        match self.get(key) {
            Some(Node { value: Value::List(items), .. }) => {
                items.iter().enumerate().map(|(at, item)| section(item, format!("{path}[{at}]"))).collect()
            }
            Some(node @ Node { value: Value::Map(_), .. }) => vec![section(node, path)],
            Some(Node { value: Value::Null, .. }) | None => Vec::new(),
            Some(node) => {
                self.unexpected(&path, node, "a list of sections");
                Vec::new()
            }
        }
    }

    /// The keys of this section in the case in which they were written, each with its value as a section.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'t str, Section<'t>)> {
        self.node
            .map(Node::entries)
            .unwrap_or_default()
            .iter()
            .map(|entry| (entry.key.as_str(), self.at(Some(&entry.node), self.path_of(&entry.key))))
    }

    /// Whether the user wrote something into this section, in a file or the environment, but not this key, not even
    /// with an empty value.
    pub(super) fn is_written_without(&self, key: &str) -> bool {
        self.node.is_some_and(is_written) && !self.get(key).is_some_and(is_written)
    }

    /// Whether the user wrote this key, in a file or the environment.
    pub(super) fn is_written(&self, key: &str) -> bool {
        self.get(key).is_some_and(is_written)
    }

    /// Whether a value of this section differs from the sample; an unknown key counts.
    pub(super) fn differs_from(&self, sample: &Node) -> bool {
        let sample = sample.at(self.path.split('.'));
        self.node.is_some_and(|node| differs(node, sample))
    }

    /// Whether the key is absent or its value is blank.
    pub(super) fn is_empty(&self, key: &str) -> bool {
        self.get(key).is_none_or(|node| node.value.is_blank())
    }

    /// This section's value.
    pub(super) fn value(&self) -> &'t Value {
        self.node.map_or(&Value::Null, |node| &node.value)
    }

    /// Reads the value at a key into the target, which stays unchanged if there is none.
    pub(super) fn read<T: Setting>(&self, key: &str, target: &mut T) {
        self.read_as(key, T::EXPECTED, target, T::read);
    }

    /// Reads the value at a key with the given function, which returns `None` if the value is not what is expected.
    pub(super) fn read_as<T>(
        &self,
        key: &str,
        expected: &str,
        target: &mut T,
        read: impl Fn(&Value) -> Option<T>,
    ) {
        if let Some(observer) = self.observer {
            observer.borrow_mut().note(&self.path_of(key), expected, &|value| read(value).is_some());
        }
        let Some(node) = self.get(key).filter(|node| node.value != Value::Null) else { return };
        let path = self.path_of(key);
        match read(&node.value) {
            Some(value) => *target = value,
            None => return self.unexpected(&path, node, expected),
        }
        if expected == <Duration as Setting>::EXPECTED {
            self.warn_of_nanoseconds(key, &node.value);
        }
    }

    /// Warns of a duration without a unit that is so short that seconds or minutes were probably meant.
    fn warn_of_nanoseconds(&self, key: &str, value: &Value) {
        let Some(number) = integer(value).filter(|number| (1..SHORTEST_WITHOUT_UNIT).contains(number)) else {
            return;
        };
        self.warn(
            key,
            format!(
                "is {number}, which means {number} nanoseconds; a duration has a unit, such as {number}s"
            ),
        );
    }

    /// Parses the text at a key; the message of the parser's error names what is expected.
    pub(super) fn parse<T: FromStr<Err: Display>>(&self, key: &str, target: &mut T) {
        if let Some(value) = self.parsed(key) {
            *target = value;
        }
    }

    /// The value that the text at a key means; `None` if it is empty or a fault.
    pub(super) fn parsed<T: FromStr<Err: Display>>(&self, key: &str) -> Option<T> {
        let expected = |error: &T::Err| {
            let expected = error.to_string();
            expected.strip_prefix("expected ").unwrap_or(&expected).to_owned()
        };
        if let Some(observer) = self.observer {
            let error = "\u{7f}".parse::<T>().err();
            let expected = error.as_ref().map_or_else(|| String::EXPECTED.to_owned(), expected);
            let accepts = |value: &Value| {
                String::read(value).is_some_and(|text| text.is_empty() || text.parse::<T>().is_ok())
            };
            observer.borrow_mut().note(&self.path_of(key), &expected, &accepts);
        }
        let node = self.get(key).filter(|node| node.value != Value::Null)?;
        let path = self.path_of(key);
        let Some(text) = String::read(&node.value) else {
            self.unexpected(&path, node, String::EXPECTED);
            return None;
        };
        if text.is_empty() {
            return None;
        }
        text.parse().map_err(|error| self.unexpected(&path, node, &expected(&error))).ok()
    }

    /// Reads a number. Zero and less mean the default: the target stays unchanged.
    pub(super) fn read_count<T: TryFrom<i128>>(&self, key: &str, target: &mut T) {
        let mut number = 0;
        self.read_as(key, "a whole number; 0 means the default", &mut number, |value| {
            integer(value).filter(|number| *number <= 0 || T::try_from(*number).is_ok())
        });
        if let (true, Ok(count)) = (number > 0, T::try_from(number)) {
            *target = count;
        }
    }

    /// Reads a duration. Zero and less mean the default: the target stays unchanged.
    pub(super) fn read_period(&self, key: &str, target: &mut Duration) {
        let mut period = 0;
        self.read_as(key, <Duration as Setting>::EXPECTED, &mut period, nanoseconds);
        if let (true, Ok(nanoseconds)) = (period > 0, u64::try_from(period)) {
            *target = Duration::from_nanos(nanoseconds);
        }
    }

    /// Reads a number of which zero has a meaning of its own. Less means the default (contract §14.28): the target stays
    /// unchanged.
    pub(super) fn read_limit<T: TryFrom<i128>>(&self, key: &str, target: &mut T) {
        let mut number = -1;
        self.read_as(key, "a whole number", &mut number, |value| {
            integer(value).filter(|number| *number < 0 || T::try_from(*number).is_ok())
        });
        if let Ok(limit) = T::try_from(number) {
            *target = limit;
        }
    }

    /// Reads a duration of which zero has a meaning of its own. Less means the default: the target stays unchanged.
    pub(super) fn read_timeout(&self, key: &str, target: &mut Duration) {
        let mut timeout = -1;
        self.read_as(key, <Duration as Setting>::EXPECTED, &mut timeout, nanoseconds);
        if let Ok(nanoseconds) = u64::try_from(timeout) {
            *target = Duration::from_nanos(nanoseconds);
        }
    }

    /// Reports a fault at a key of this section; the empty key is the section itself.
    pub(super) fn fault(&self, key: &str, problem: impl AsRef<str>) {
        let origin = self.origin(key);
        self.report.borrow_mut().fault(self.path_of(key), self.without_value(key, problem.as_ref()), origin);
    }

    /// Whether a fault of this very key has been reported.
    pub(super) fn has_fault(&self, key: &str) -> bool {
        let path = self.path_of(key);
        self.report.borrow().faults.iter().any(|fault| fault.key == path)
    }

    /// Reports a warning at a key of this section; the empty key is the section itself.
    pub(super) fn warn(&self, key: &str, problem: impl AsRef<str>) {
        let origin = self.origin(key);
        self.report.borrow_mut().warn(self.path_of(key), self.without_value(key, problem.as_ref()), origin);
    }

    /// The problem without the value, if that comes from a file of its own: it is a secret in most cases.
    fn without_value<'p>(&self, key: &str, problem: &'p str) -> Cow<'p, str> {
        let hides = |text: &String| !text.is_empty() && problem.contains(text.as_str());
        match self.get(key) {
            Some(Node { value: Value::Text(text), origin })
                if origin.value_file().is_some() && hides(text) =>
            {
                Cow::Owned(problem.replace(text.as_str(), MASK))
            }
            _ => Cow::Borrowed(problem),
        }
    }

    fn at(&self, node: Option<&'t Node>, path: String) -> Self {
        Self { node, path, report: self.report, observer: self.observer }
    }

    fn unexpected(&self, path: &str, node: &Node, expected: &str) {
        self.report.borrow_mut().faults.push(Fault::unexpected(path, node, expected));
    }

    /// Where the value at a key was written; for an absent key, where the section was that would hold it.
    fn origin(&self, key: &str) -> Option<&'t Origin> {
        let mut key = key;
        loop {
            match (self.get(key), key.rsplit_once('.')) {
                (Some(node), _) => return Some(&node.origin),
                (None, Some((section, _))) => key = section,
                (None, None) => return self.node.map(|node| &node.origin),
            }
        }
    }

    /// The node at a key or at a path such as `sasl.password`; the empty key is the section itself.
    fn get(&self, key: &str) -> Option<&'t Node> {
        self.node?.at(key.split('.').filter(|key| !key.is_empty()))
    }

    fn path_of(&self, key: &str) -> String {
        match (self.path.as_str(), key) {
            (path, "") => path.to_owned(),
            ("", key) => key.to_owned(),
            (path, key) => format!("{path}.{key}"),
        }
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(value) => Some(*value),
            Value::Number(_) => integer(value).map(|number| number != 0),
            Value::Text(text) if text.is_empty() => Some(false),
            Value::Text(text) => parse_bool(text),
            _ => None,
        }
    }
}

impl Setting for u64 {
    const EXPECTED: &'static str = "a whole number";

    fn read(value: &Value) -> Option<Self> {
        integer(value)?.try_into().ok()
    }
}

impl Setting for i64 {
    const EXPECTED: &'static str = u64::EXPECTED;

    fn read(value: &Value) -> Option<Self> {
        integer(value)?.try_into().ok()
    }
}

impl Setting for u32 {
    const EXPECTED: &'static str = u64::EXPECTED;

    fn read(value: &Value) -> Option<Self> {
        integer(value)?.try_into().ok()
    }
}

impl Setting for usize {
    const EXPECTED: &'static str = u64::EXPECTED;

    fn read(value: &Value) -> Option<Self> {
        integer(value)?.try_into().ok()
    }
}

impl Setting for Duration {
    const EXPECTED: &'static str = "a duration such as 30s, 1m30s or 500ms (a number means nanoseconds)";

    fn read(value: &Value) -> Option<Self> {
        nanoseconds(value)?.try_into().ok().map(Self::from_nanos)
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "a text";

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) | Value::Number(text) => Some(text.clone()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null => Some(Self::new()),
            Value::List(_) | Value::Map(_) => None,
        }
    }
}

impl Setting for PathBuf {
    const EXPECTED: &'static str = "the path of a file";

    fn read(value: &Value) -> Option<Self> {
        String::read(value).map(Self::from)
    }
}

/// A list of texts. A single text is split at commas, so that environment variables can hold lists.
impl Setting for Vec<String> {
    const EXPECTED: &'static str = "a list of texts";

    fn read(value: &Value) -> Option<Self> {
        match value {
            Value::List(items) => items.iter().map(|item| String::read(&item.value)).collect(),
            _ => {
                let text = String::read(value)?;
                Some(
                    text.split(',')
                        .map(str::trim)
                        .filter(|item| !item.is_empty())
                        .map(str::to_owned)
                        .collect(),
                )
            }
        }
    }
}

fn is_written(node: &Node) -> bool {
    match &node.value {
        Value::Map(entries) if !entries.is_empty() => entries.iter().any(|entry| is_written(&entry.node)),
        _ => !matches!(node.origin, Origin::Default { .. }),
    }
}

fn differs(node: &Node, sample: Option<&Node>) -> bool {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .any(|entry| differs(&entry.node, sample.and_then(|sample| sample.at([entry.key.as_str()])))),
        Value::Null => false,
        value => sample.is_none_or(|sample| sample.value != *value),
    }
}

/// A whole number, also if it is written as a text, in hexadecimal, or with a fraction, which is cut off as in the Go
/// gateway.
fn integer(value: &Value) -> Option<i128> {
    let (Value::Number(text) | Value::Text(text)) = value else { return None };
    let text = text.trim().replace('_', "");
    if let Some(digits) = text.strip_prefix("0x") {
        return i128::from_str_radix(digits, 16).ok();
    }
    if let Ok(number) = text.parse() {
        return Some(number);
    }
    let number: f64 = matches!(value, Value::Number(_)).then(|| text.parse().ok())??;
    #[expect(clippy::cast_possible_truncation, reason = "the fraction is to be cut off")]
    (number.is_finite()).then_some(number.trunc() as i128)
}

/// A duration in nanoseconds; may be negative.
fn nanoseconds(value: &Value) -> Option<i64> {
    match value {
        Value::Number(_) => integer(value)?.try_into().ok(),
        // The environment has only texts, so a number of nanoseconds may be one.
        Value::Text(text) => duration::parse(text).ok().or_else(|| text.parse().ok()),
        _ => None,
    }
}
