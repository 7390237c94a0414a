//! What is a secret in a configuration, and how it is hidden: in `talaria config --print`, in faults and in warnings.
//!
//! Secrets are the values of some keys ([`is_secret`]), and in any text the credentials of a URL: its user part, its query
//! and its fragment ([`masked`]). Values that components hold are their own matter: they hide them in their `Debug`.

use std::borrow::Cow;

use super::fault::Report;
use super::tree::{Node, Value};

/// Shown in place of a secret.
pub const MASK: &str = "********";

/// Keys whose values are secrets.
const SECRET_KEYS: [&str; 6] = ["authkey", "authorization", "clientsecret", "password", "token", "secret"];

/// Whether the value at this path is a secret.
pub(super) fn is_secret(key: &str) -> bool {
    let name = key.rsplit('.').next().unwrap_or(key);
    let name = name.split('[').next().unwrap_or(name);
    SECRET_KEYS.iter().any(|secret| name.eq_ignore_ascii_case(secret))
}

/// The text of one value, with the credentials masked if it is a URL or a host with credentials, even a malformed one.
pub(super) fn masked(text: &str) -> Cow<'_, str> {
    let (scheme, rest) = match text.find("://") {
        Some(at) => text.split_at(at + "://".len()),
        None => ("", text),
    };
    let host = user_length(rest, !scheme.is_empty());
    let end = if scheme.is_empty() && host == 0 { None } else { rest[host..].find(['?', '#']) };
    let end = end.map_or(rest.len(), |end| host + end);
    if host == 0 && end == rest.len() {
        return Cow::Borrowed(text);
    }
    let user = if host == 0 { String::new() } else { format!("{MASK}@") };
    let query = rest[end..].chars().next().map_or(String::new(), |first| format!("{first}{MASK}"));
    Cow::Owned(format!("{scheme}{user}{}{query}", &rest[host..end]))
}

/// A message with the credentials of each URL in it masked.
pub(super) fn masked_message(message: &str) -> String {
    let is_boundary = |c: char| c.is_whitespace() || "\"'`,;()".contains(c);
    message.split_inclusive(is_boundary).fold(String::with_capacity(message.len()), |mut whole, part| {
        let word = part.trim_end_matches(is_boundary);
        whole.push_str(&masked(word));
        whole.push_str(&part[word.len()..]);
        whole
    })
}

/// Reports and removes values of a layer that were copied from a printed configuration with the mask in place of a
/// secret: with them the gateway would present wrong credentials.
pub(super) fn remove_masks(layer: &mut Node, report: &mut Report) {
    remove_masks_below("", layer, report);
}

fn remove_masks_below(path: &str, node: &mut Node, report: &mut Report) {
    match &mut node.value {
        Value::Text(text) if text.contains(MASK) && (is_secret(path) || text.contains("://")) => {
            let problem =
                format!("contains {MASK}, the mask of a printed configuration; expected the secret itself");
            report.fault(path, problem, Some(&node.origin));
            node.value = Value::Null;
        }
        Value::List(items) => {
            for (at, item) in items.iter_mut().enumerate() {
                remove_masks_below(&format!("{path}[{at}]"), item, report);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let key = &entry.key;
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                remove_masks_below(&path, &mut entry.node, report);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// The length of the user part of what follows the scheme of a URL, including its `@`; 0 without one.
///
/// A password with a `/`, `?` or `#` that is not escaped makes a URL malformed, and is hidden all the same: if what looks
/// like the host has a colon without a port after it, the user part reaches up to the last `@`.
fn user_length(rest: &str, has_scheme: bool) -> usize {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if let Some(at) = authority.rfind('@')
        && (has_scheme || authority[..at].contains(':'))
    {
        return at + 1;
    }
    let port = authority.rsplit_once(':').map(|(_, port)| port);
    let is_host =
        port.is_none_or(|port| port.ends_with(']') || port.bytes().all(|byte| byte.is_ascii_digit()));
    if is_host || !has_scheme { 0 } else { rest.rfind('@').map_or(0, |at| at + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_urls_are_masked_and_nothing_else() {
        for (text, expected) in [
            ("https://user:pass@h:1/x", "https://********@h:1/x"),
            ("https://token@h/x", "https://********@h/x"),
            ("https://user:p@ss@h/x", "https://********@h/x"),
            ("https://user:p/ss@h/x", "https://********@h/x"),
            ("https://user:p?ss@h/x", "https://********@h/x"),
            ("https://h/x?token=t&a=b", "https://h/x?********"),
            ("https://u@h?token=t#f", "https://********@h?********"),
            ("https://h/x#token", "https://h/x#********"),
            ("https://h:80/x@y", "https://h:80/x@y"),
            ("https://[::1]:80/x", "https://[::1]:80/x"),
            ("user:pass@h:9092", "********@h:9092"),
            ("h:9092", "h:9092"),
            ("event:x/y?z", "event:x/y?z"),
            ("a@b", "a@b"),
            ("\\*", "\\*"),
            ("", ""),
        ] {
            assert_eq!(masked(text), expected, "{text}");
        }
    }

    #[test]
    fn urls_within_a_message_are_masked() {
        let message = "is \"http://u:p@h/x?k=v\", expected (one of) http://h/{keyID}, https://t@i; no more";
        let expected = "is \"http://********@h/x?********\", expected (one of) http://h/{keyID}, https://********@i; no more";
        assert_eq!(masked_message(message), expected);
    }
}
