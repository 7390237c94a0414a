//! Parses YAML into a [`Node`] with line numbers and the spelling of numbers. JSON is YAML and needs no code of its
//! own.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};

use super::tree::{Entry, Node, Origin, Value};

/// Why a text is not valid YAML.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not valid YAML: {problem}")]
pub struct YamlError {
    /// The parser's message in one line. It never quotes the text, which may hold a password.
    pub problem: String,
    /// The line number, from 1, if the parser reports it.
    pub line: Option<u64>,
}

/// Parses the defaults.
///
/// # Errors
/// [`YamlError`].
pub fn defaults(text: &str) -> Result<Node, YamlError> {
    read(text, &|line| Origin::Default { line })
}

/// Parses the text of a file.
///
/// # Errors
/// [`YamlError`].
pub fn file(text: &str, path: &Arc<Path>) -> Result<Node, YamlError> {
    read(text, &|line| Origin::File { path: Arc::clone(path), line })
}

/// Parses a list or a section in the value of an environment variable.
///
/// # Errors
/// [`YamlError`].
pub fn environment(text: &str, name: &Arc<str>) -> Result<Node, YamlError> {
    read(text, &|_| Origin::Environment { name: Arc::clone(name) })
}

/// Parses a document that was sent to the control server.
///
/// # Errors
/// [`YamlError`].
pub fn control(text: &str) -> Result<Node, YamlError> {
    read(text, &|line| Origin::Control { line })
}

fn read(text: &str, origin: &dyn Fn(u64) -> Origin) -> Result<Node, YamlError> {
    let options = serde_saphyr::options! {
        // In Go's YAML `yes` is a text.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let parsed: Option<Spanned<Parsed>> =
        serde_saphyr::from_str_with_options(text, options).map_err(|error| YamlError {
            problem: one_line(&error),
            line: error.location().map(|at| at.line()),
        })?;
    Ok(match parsed {
        Some(parsed) => parsed.value.into_node(parsed.referenced, text, origin),
        None => Node { value: Value::Map(Vec::new()), origin: origin(1) },
    })
}

/// What a message of the parser means to the author of a configuration in most cases: a part of the message, and what to do.
const ADVICE: &[(&str, &str)] = &[
    ("did not find expected key", "the keys of a section begin in the same column"),
    (
        "mapping values are not allowed",
        "a key stands where none can be: indent the keys of a section alike, and put a text with `: ` in it into quotes",
    ),
    ("tabs disallowed", "indent with blanks"),
    ("anchor or alias", "put a text that begins with `*` or `&` into quotes"),
    ("unexpected character", "put a text that begins with it into quotes"),
    ("simple key expected ':'", "write a blank after the `-` of an item, and `: ` after a key"),
    ("block sequence entries are not allowed", "begin a list on the line below its key"),
    ("trailing content after single-quoted", "between single quotes a single quote is written twice"),
];

/// The parser's message without the position, which is in [`YamlError::line`], and without its hints to programmers, but with
/// one to the author of the text.
fn one_line(error: &serde_saphyr::Error) -> String {
    let text = error.to_string().lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let hints = [", set DuplicateKeyPolicy", "; use from_str_multiple", " at line "];
    let problem = hints.iter().fold(text.as_str(), |text, hint| text.split(hint).next().unwrap_or_default());
    match ADVICE.iter().find(|(part, _)| problem.contains(part)) {
        Some((_, advice)) => format!("{problem}; {advice}"),
        None => problem.to_owned(),
    }
}

/// A value as the deserializer returns it. The spelling of a number is read from the text later.
enum Parsed {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    List(Vec<Spanned<Self>>),
    Map(Vec<(String, Spanned<Self>)>),
}

impl Parsed {
    fn into_node(self, at: Location, text: &str, origin: &dyn Fn(u64) -> Origin) -> Node {
        let node = |item: Spanned<Self>| item.value.into_node(item.defined, text, origin);
        let value = match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(value),
            Self::Number(value) => Value::Number(spelling(at, text).map_or(value, str::to_owned)),
            Self::Text(value) => Value::Text(value),
            Self::List(items) => Value::List(items.into_iter().map(node).collect()),
            Self::Map(entries) => {
                Value::Map(entries.into_iter().map(|(key, item)| Entry { key, node: node(item) }).collect())
            }
        };
        Node { value, origin: origin(at.line()) }
    }
}

/// A number as it is spelled in the text, because it may be meant as a text, such as the version `1.10`.
fn spelling(at: Location, text: &str) -> Option<&str> {
    let start = usize::try_from(at.span().byte_offset()?).ok()?;
    let length = usize::try_from(at.span().byte_len()?).ok()?;
    text.get(start..start.checked_add(length)?)
        .filter(|number| number.starts_with(|first: char| first.is_ascii_digit() || "+-.".contains(first)))
}

impl<'de> Deserialize<'de> for Parsed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ParsedVisitor)
    }
}

struct ParsedVisitor;

impl<'de> Visitor<'de> for ParsedVisitor {
    type Value = Parsed;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value of a configuration")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Parsed, E> {
        Ok(Parsed::Bool(value))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Parsed, E> {
        Ok(Parsed::Number(value.to_string()))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Parsed, E> {
        Ok(Parsed::Number(value.to_string()))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Parsed, E> {
        Ok(Parsed::Number(value.to_string()))
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Parsed, E> {
        Ok(Parsed::Text(value.to_owned()))
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Parsed, E> {
        Ok(Parsed::Text(value))
    }

    fn visit_unit<E: de::Error>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Parsed, E> {
        Ok(Parsed::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Parsed, D::Error> {
        Parsed::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Parsed, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = sequence.next_element()? {
            items.push(item);
        }
        Ok(Parsed::List(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Parsed, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Parsed::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "server: talaria-1\nBuild: 1.10\nkafka:\n  enabled: true\n  brokers: [a:1, 'b:2']\n  sasl:\ndevice: {x: yes, y: 0x10}\n";

    #[test]
    fn every_value_knows_its_line() {
        let tree = defaults(TEXT).unwrap();
        let line = |path: &[&str]| tree.at(path.iter().copied()).unwrap().origin.clone();
        assert_eq!(line(&["server"]), Origin::Default { line: 1 });
        assert_eq!(line(&["kafka", "enabled"]), Origin::Default { line: 4 });
        assert_eq!(line(&["KAFKA", "Brokers"]), Origin::Default { line: 5 });
        assert_eq!(line(&["device", "y"]), Origin::Default { line: 7 });
    }

    #[test]
    fn numbers_keep_their_spelling_and_yes_is_a_text() {
        let tree = defaults(TEXT).unwrap();
        let value = |path: &[&str]| tree.at(path.iter().copied()).unwrap().value.clone();
        assert_eq!(value(&["build"]), Value::Number("1.10".to_owned()));
        assert_eq!(value(&["device", "x"]), Value::Text("yes".to_owned()));
        assert_eq!(value(&["device", "y"]), Value::Number("0x10".to_owned()));
        assert_eq!(value(&["kafka", "sasl"]), Value::Null);
    }

    #[test]
    fn an_empty_file_is_an_empty_section() {
        assert_eq!(defaults("").unwrap().value, Value::Map(Vec::new()));
        assert_eq!(defaults("# nothing\n").unwrap().value, Value::Map(Vec::new()));
    }

    #[test]
    fn an_error_is_one_line_that_does_not_quote_the_text() {
        let error = defaults("kafka:\n  sasl: {password: s3cret, [\n").unwrap_err();
        assert!(!error.problem.contains("s3cret") && !error.problem.contains('\n'), "{error}");
        assert_eq!(error.line, Some(2));
    }

    #[test]
    fn a_second_document_is_a_fault() {
        let error = defaults("server: a\n---\nserver: b\n").unwrap_err();
        assert_eq!((error.line, error.problem.as_str()), (Some(3), "multiple YAML documents detected"));
    }

    #[test]
    fn a_key_given_twice_is_a_fault() {
        let error = defaults("server: a\nserver: b\n").unwrap_err();
        assert_eq!((error.line, error.problem.as_str()), (Some(2), "duplicate mapping key: server"));
    }
}
