//! A configuration as a document that is read and written by programs: JSON, and the merge patches of RFC 7396.
//!
//! A document takes the place of the file: defaults, document, environment (contract §7.6). In the document that is shown the
//! secrets are masked, and a mask that comes back stands for the secret that is in effect, so that what was read can be
//! changed and sent again.

use serde_json::{Map, Value as Json};

use super::sample;
use super::secret::{MASK, is_secret, masked};
use super::tree::{Entry, Node, Value};

/// Whether secrets are shown.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Secrets {
    Masked,
    Shown,
}

/// The tree as JSON. Secrets are masked, and values that are kept in files of their own are named by their files.
#[must_use]
pub fn to_masked_json(tree: &Node) -> Json {
    json("", tree, Some(sample::described()), Secrets::Masked)
}

/// The tree as JSON with its secrets, for a file that only the gateway reads.
#[must_use]
pub fn to_json_with_secrets(tree: &Node) -> Json {
    json("", tree, None, Secrets::Shown)
}

/// Applies a merge patch (RFC 7396): its values replace those of the document, sections are merged key by key, and a null
/// removes a key. Keys are compared without regard to case.
pub fn merge_patch(document: &mut Node, patch: Node) {
    let Value::Map(changes) = patch.value else {
        *document = patch;
        return;
    };
    if !matches!(document.value, Value::Map(_)) {
        *document = Node { value: Value::Map(Vec::new()), origin: patch.origin };
    }
    let Value::Map(entries) = &mut document.value else { return };
    for change in changes {
        let at = entries.iter().position(|entry| entry.key.eq_ignore_ascii_case(&change.key));
        match (at, &change.node.value) {
            (Some(at), Value::Null) => {
                entries.remove(at);
            }
            (None, Value::Null) => {}
            (Some(at), _) => merge_patch(&mut entries[at].node, change.node),
            (None, _) => {
                let empty = Node { value: Value::Null, origin: change.node.origin.clone() };
                let mut entry = Entry { key: change.key, node: empty };
                // Nulls within a new section are left out, too.
                merge_patch(&mut entry.node, change.node);
                entries.push(entry);
            }
        }
    }
}

/// Replaces the masks of a document that was shown by the secrets of the configuration in effect. A mask without such a secret
/// stays, and is a fault.
pub fn restore_secrets(document: &mut Node, in_effect: &Node) {
    restore("", document, in_effect);
}

fn restore(path: &str, node: &mut Node, in_effect: &Node) {
    match &mut node.value {
        Value::Text(text) if text.contains(MASK) => {
            if let Value::Text(secret) = &in_effect.value
                && (is_secret(path) && text == MASK || masked(secret) == text.as_str())
            {
                secret.clone_into(text);
            } else if text == MASK && (is_secret(path) || in_effect.origin.value_file().is_some()) {
                node.value = in_effect.value.clone();
            }
        }
        Value::List(items) => {
            let Value::List(others) = &in_effect.value else { return };
            for (item, other) in items.iter_mut().zip(others) {
                restore(path, item, other);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let Some(other) = in_effect.at([entry.key.as_str()]) else { continue };
                restore(&entry.key, &mut entry.node, other);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// `known` is what the sample has at this place.
fn json(key: &str, node: &Node, known: Option<&Node>, secrets: Secrets) -> Json {
    let masks = secrets == Secrets::Masked;
    match &node.value {
        Value::Null => Json::Null,
        value if masks && !value.is_blank() && (is_secret(key) || node.origin.value_file().is_some()) => {
            Json::from(MASK)
        }
        Value::Bool(value) => Json::from(*value),
        // A number that JSON cannot have, such as 0x10, is read as one from a text, too.
        Value::Number(text) => serde_json::from_str::<serde_json::Number>(text)
            .map_or_else(|_| Json::from(text.as_str()), Json::from),
        Value::Text(text) if masks => Json::from(masked(text).into_owned()),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(items) => {
            let known = known.and_then(|known| known.at(["[0]"]));
            items.iter().map(|item| json(key, item, known, secrets)).collect()
        }
        Value::Map(entries) => {
            let pair = |entry: &Entry| {
                let known = known.and_then(|known| known.at([entry.key.as_str()]));
                match entry.node.origin.value_file() {
                    // The document names the file, as the operator did.
                    Some(file) if masks && known.is_some() => {
                        (sample::file_key(&entry.key).into_owned(), Json::from(file.display().to_string()))
                    }
                    _ => (entry.key.clone(), json(&entry.key, &entry.node, known, secrets)),
                }
            };
            Json::Object(entries.iter().map(pair).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::yaml;

    fn node(text: &str) -> Node {
        yaml::control(text).unwrap()
    }

    /// The examples of RFC 7396, appendix A, whose documents are objects.
    #[test]
    fn the_examples_of_the_rfc_give_what_it_says() {
        for (document, patch, result) in [
            (r#"{"a":"b"}"#, r#"{"a":"c"}"#, json!({"a": "c"})),
            (r#"{"a":"b"}"#, r#"{"b":"c"}"#, json!({"a": "b", "b": "c"})),
            (r#"{"a":"b"}"#, r#"{"a":null}"#, json!({})),
            (r#"{"a":"b","b":"c"}"#, r#"{"a":null}"#, json!({"b": "c"})),
            (r#"{"a":["b"]}"#, r#"{"a":"c"}"#, json!({"a": "c"})),
            (r#"{"a":"c"}"#, r#"{"a":["b"]}"#, json!({"a": ["b"]})),
            (r#"{"a":{"b":"c"}}"#, r#"{"a":{"b":"d","c":null}}"#, json!({"a": {"b": "d"}})),
            (r#"{"a":[{"b":"c"}]}"#, r#"{"a":[1]}"#, json!({"a": [1]})),
            (r#"{"e":null}"#, r#"{"a":1}"#, json!({"e": null, "a": 1})),
            (r"{}", r#"{"a":{"bb":{"ccc":null}}}"#, json!({"a": {"bb": {}}})),
            (r#"{"A":1}"#, r#"{"a":2}"#, json!({"A": 2})),
        ] {
            let mut patched = node(document);
            merge_patch(&mut patched, node(patch));
            assert_eq!(to_masked_json(&patched), result, "{document} {patch}");
        }
    }

    #[test]
    fn what_was_shown_comes_back_with_its_secrets_and_another_mask_stays() {
        let tree = node(
            "kafka: {sasl: {username: u, password: s3cret}}\ninbound: {authKey: [YTpi, Yzpk]}\n\
             device: {outbound: {eventEndpoints: {default: 'https://u:p@h/x'}}}\n",
        );
        let shown = to_masked_json(&tree);
        assert!(!shown.to_string().contains("s3cret") && !shown.to_string().contains("YTpi"), "{shown}");
        let mut sent = node(&shown.to_string());
        restore_secrets(&mut sent, &tree);
        assert_eq!(to_json_with_secrets(&sent), to_json_with_secrets(&tree));

        let mut other =
            node("device: {outbound: {eventEndpoints: {default: 'https://********@elsewhere/x'}}}\n");
        restore_secrets(&mut other, &tree);
        assert!(
            to_json_with_secrets(&other).to_string().contains(MASK),
            "another host does not get the password"
        );
    }
}
