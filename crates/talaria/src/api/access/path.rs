//! Paths to values in the claims of a token.

use serde_json::{Map, Value};

/// The path to a value in a token's claims: keys, and `[0]` for the first item of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path(Box<[Box<str>]>);

impl Path {
    /// A path whose parts are separated by `sep`.
    #[must_use]
    pub fn new(text: &str, sep: &str) -> Self {
        let parts: Vec<&str> = if sep.is_empty() { vec![text] } else { text.split(sep).collect() };
        Self(parts.into_iter().map(Box::from).collect())
    }

    /// The value at the path; none if it is null.
    #[must_use]
    pub fn find<'a>(&self, claims: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, rest) = self.0.split_first()?;
        let found = rest.iter().try_fold(claims.get(&**first)?, |value, part| step(value, part))?;
        (!found.is_null()).then_some(found)
    }
}

fn step<'a>(value: &'a Value, part: &str) -> Option<&'a Value> {
    match value {
        Value::Object(object) => object.get(part),
        Value::Array(items) => items.get(part.strip_prefix('[')?.strip_suffix(']')?.parse::<usize>().ok()?),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_path_leads_through_objects_and_lists() {
        let claims = json!({"a": {"b": [{"c": 1}, 2], "n": null}, "x.y": 3});
        let claims = claims.as_object().unwrap();
        let find = |text, sep| Path::new(text, sep).find(claims).cloned();
        assert_eq!(find("a.b.[0].c", "."), Some(json!(1)));
        assert_eq!(find("a/b/[1]", "/"), Some(json!(2)));
        assert_eq!(find("x.y", "/"), Some(json!(3)));
        for missing in ["a.b.[2]", "a.b.0", "a.n", "a.b.c", "x.y", "", "A"] {
            assert_eq!(find(missing, "."), None, "{missing}");
        }
    }
}
