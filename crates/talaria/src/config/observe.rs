//! Learns what the readers of the configuration accept, for the schema and the reference page.
//!
//! A reader that is observed shows what it expects and how it converts a value. It is tried with some values of each kind, so
//! that what is said of a key is what the code does.

use std::collections::BTreeMap;

use super::tree::{Node, Origin, Value};

/// What was learned of all keys, by their paths in lower case, with `[]` for an index.
#[derive(Debug, Default)]
pub(super) struct Observer {
    accepted: BTreeMap<String, Accepted>,
}

/// The values that a key accepts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Accepted {
    /// What the reader expects, in words.
    pub(super) expected: String,
    pub(super) bools: bool,
    pub(super) numbers: Option<Numbers>,
    pub(super) texts: Option<Texts>,
    /// What the items of a list may be.
    pub(super) items: Option<Box<Self>>,
}

/// The numbers that a key accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) least: Option<i64>,
    pub(super) most: Option<i64>,
}

/// The texts that a key accepts, besides an empty one if [`Texts::empty`] says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Texts {
    pub(super) form: Form,
    pub(super) empty: bool,
}

/// The form of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One that a schema does not describe.
    Any,
    /// One of these words; in capitals, too, or not.
    Words { words: Vec<String>, any_case: bool },
    /// A duration in Go's notation.
    Duration,
    /// A number, also with a fraction or not.
    Number,
    /// What Go takes for a boolean.
    Bool,
}

impl Observer {
    /// What was learned of the key at this path, in which an index is `[]` or a number.
    pub(super) fn get(&self, path: &str) -> Option<&Accepted> {
        self.accepted.get(&without_indices(path))
    }

    /// Learns from a reader. What several readers accept is what the first of them does.
    pub(super) fn note(&mut self, path: &str, expected: &str, accepts: &dyn Fn(&Value) -> bool) {
        self.accepted.entry(without_indices(path)).or_insert_with(|| Accepted::learn(expected, accepts));
    }
}

impl Accepted {
    fn learn(expected: &str, accepts: &dyn Fn(&Value) -> bool) -> Self {
        let in_list = |value: &Value| accepts(&Value::List(vec![node(value.clone())]));
        let mut accepted = Self::learn_scalar(expected, accepts);
        let items = Self::learn_scalar(expected, &in_list);
        if items.texts.is_some() || items.numbers.is_some() {
            accepted.items = Some(Box::new(items));
            // A text may hold several items, with commas.
            if let Some(texts) = &mut accepted.texts {
                texts.form = Form::Any;
            }
        }
        accepted
    }

    fn learn_scalar(expected: &str, accepts: &dyn Fn(&Value) -> bool) -> Self {
        Self {
            expected: expected.to_owned(),
            bools: accepts(&Value::Bool(true)),
            numbers: Numbers::learn(expected, accepts),
            texts: Texts::learn(expected, accepts),
            items: None,
        }
    }
}

impl Numbers {
    /// `None` if no number is accepted that the words of the reader name, and none of some common ones.
    fn learn(expected: &str, accepts: &dyn Fn(&Value) -> bool) -> Option<Self> {
        let accepts = |number: i64| accepts(&Value::Number(number.to_string()));
        let named: Vec<i64> =
            expected.split(|c: char| !c.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
        if ![0, 1, 7, 100].into_iter().chain(named.iter().copied()).any(accepts) {
            return None;
        }
        let least = [0, 1].into_iter().chain(named.iter().copied());
        let least = least.filter(|number| accepts(*number) && !accepts(number - 1)).min();
        let most = named.into_iter().filter(|number| accepts(*number) && !accepts(number + 1)).max();
        Some(Self { least, most })
    }
}

impl Texts {
    fn learn(expected: &str, accepts: &dyn Fn(&Value) -> bool) -> Option<Self> {
        let accepts = |text: &str| accepts(&Value::Text(text.to_owned()));
        let empty = accepts("");
        let form = |form| Some(Self { form, empty });
        // Words are not all if some stand for others, as in `metadata:<field>`.
        if accepts("zq") || expected.contains('<') {
            return form(Form::Any);
        }
        // The words of a sentence such as "one of debug, info, warn, error" that are accepted.
        let words = expected
            .split(|c: char| c.is_whitespace() || ",;:()".contains(c))
            .filter(|word| !word.is_empty());
        let mut accepted: Vec<String> = words
            .filter(|word| !word.contains(|c: char| c.is_ascii_digit() && word.parse::<f64>().is_ok()))
            .filter(|word| accepts(word))
            .map(str::to_owned)
            .collect();
        accepted.dedup();
        let is_bool = accepts("T") && accepts("FALSE");
        if is_bool {
            return form(Form::Bool);
        }
        // One of them is within the bounds of each key.
        if ["1m30s", "1s", "1m", "1h"].iter().any(|duration| accepts(duration)) {
            return form(Form::Duration);
        }
        if accepts("7") || accepts("0.5") {
            return form(Form::Number);
        }
        if !accepted.is_empty() {
            let any_case = accepted.iter().all(|word| accepts(&word.to_uppercase()));
            return form(Form::Words { words: accepted, any_case });
        }
        // Some other form, such as a URL, if any text is read at all.
        let examples = [
            "http://h/{keyID}",
            "https://h",
            "YTpi",
            "1.2",
            "10.0.0.0/8",
            "GET",
            ":80",
            "mac:{cn}",
            "h:1",
            "1s",
        ];
        (empty || examples.iter().any(|example| accepts(example))).then_some(Self { form: Form::Any, empty })
    }
}

/// A path in lower case, with `[]` in place of each index.
pub(super) fn without_indices(path: &str) -> String {
    let mut normal = String::with_capacity(path.len());
    let mut is_index = false;
    for c in path.chars() {
        is_index = c == '[' || is_index && c != ']';
        if !(is_index && c.is_ascii_digit()) {
            normal.extend(c.to_lowercase());
        }
    }
    normal
}

fn node(value: Value) -> Node {
    Node { value, origin: Origin::Default { line: 0 } }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::read::Setting;

    fn learned<T: Setting>() -> Accepted {
        Accepted::learn(T::EXPECTED, &|value| T::read(value).is_some())
    }

    #[test]
    fn what_a_type_accepts_is_learned_from_what_it_reads() {
        let bools = learned::<bool>();
        assert!(bools.bools && bools.texts.unwrap().form == Form::Bool && bools.items.is_none());
        let numbers = learned::<u64>();
        assert_eq!(numbers.numbers, Some(Numbers { least: Some(0), most: None }));
        assert_eq!(numbers.texts, Some(Texts { form: Form::Number, empty: false }));
        let durations = learned::<std::time::Duration>();
        assert_eq!(durations.texts.unwrap().form, Form::Duration);
        let texts = learned::<Vec<String>>();
        assert_eq!(texts.items.unwrap().texts.unwrap().form, Form::Any);
        let percent = Accepted::learn("a whole number from 1 to 100", &|value| {
            u64::read(value).is_some_and(|number| (1..=100).contains(&number))
        });
        assert_eq!(percent.numbers, Some(Numbers { least: Some(1), most: Some(100) }));
        let words = Accepted::learn("pause or drop", &|value| {
            String::read(value).is_some_and(|text| matches!(text.as_str(), "" | "pause" | "drop"))
        });
        let form = Form::Words { words: vec!["pause".to_owned(), "drop".to_owned()], any_case: false };
        assert_eq!(words.texts, Some(Texts { form, empty: true }));
    }
}
