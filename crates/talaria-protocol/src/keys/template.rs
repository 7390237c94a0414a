//! Where a key is fetched: a URL with `{keyID}` in it, a simple expansion of RFC 6570 §3.2.2.
//!
//! No other variable and no other expansion exists, and a key id can never choose the host.

use std::fmt;

use http::Uri;

use super::key_id::KeyId;
use crate::go::percent;

const VARIABLE: &str = "{keyID}";

/// Bytes of a template, and how often the variable may stand in it: its URL with the longest key id, 256 bytes that are
/// percent-encoded, stays below the 65,534 bytes that `http::Uri` takes.
const LONGEST: usize = 2048;
const MOST_VARIABLES: usize = 8;

/// `http` or `https`, and nothing else: a file's path could be climbed out of.
#[derive(Clone, PartialEq, Eq)]
pub struct Template(Box<str>);

/// The text is not a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected an http:// or https:// URL with {VARIABLE} in its path or query, of at most {LONGEST} bytes and \
     {MOST_VARIABLES} times {VARIABLE}"
)]
pub struct TemplateError;

impl std::str::FromStr for Template {
    type Err = TemplateError;

    /// A URL without the variable is a template too: of a document that holds all keys.
    fn from_str(text: &str) -> Result<Self, TemplateError> {
        if text.len() > LONGEST || text.matches(VARIABLE).count() > MOST_VARIABLES {
            return Err(TemplateError);
        }
        let fixed = text.replace(VARIABLE, "x");
        if fixed.contains(['{', '}']) || fixed.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(TemplateError);
        }
        let uri: Uri = fixed.parse().map_err(|_| TemplateError)?;
        let scheme = uri.scheme_str().unwrap_or_default();
        let is_http = matches!(scheme, "http" | "https");
        let authority = uri.authority().ok_or(TemplateError)?;
        // The variable must not choose the host: the sender of a token would.
        let before = text.split(VARIABLE).next().unwrap_or_default();
        let is_below_host = before.len() >= scheme.len() + "://".len() + authority.as_str().len();
        if !is_http || authority.host().is_empty() || !is_below_host || text.contains('#') {
            return Err(TemplateError);
        }
        Ok(Self(text.into()))
    }
}

impl Template {
    /// The URL of this key.
    #[must_use]
    pub fn expand(&self, id: &KeyId) -> String {
        let mut encoded = String::with_capacity(id.as_str().len());
        percent::encode(&mut encoded, id.as_str().as_bytes(), percent::is_unreserved);
        self.0.replace(VARIABLE, &encoded)
    }

    /// The URL of a document that is the same for all keys: the variable, if there is one, is left as it is.
    #[must_use]
    pub fn to_url(&self) -> String {
        self.0.to_string()
    }

    /// Whether it contains the variable.
    #[must_use]
    pub fn has_variable(&self) -> bool {
        self.0.contains(VARIABLE)
    }

    /// Whether the key server is reached over TLS.
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.0.starts_with("https")
    }
}

/// As it may be shown: without a user, a password and a query.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.0.split('?').next().unwrap_or_default();
        let (scheme, rest) = shown.split_once("://").unwrap_or_default();
        let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
        let host = authority.rsplit('@').next().unwrap_or_default();
        write!(f, "{scheme}://{host}{path}")
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Template({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_id_is_percent_encoded() {
        let template: Template = "http://keys.example:8/k/{keyID}.jwk?id={keyID}".parse().unwrap();
        let id = KeyId::new("a/b?c#d é%{keyID}").unwrap();
        let encoded = "a%2Fb%3Fc%23d%20%C3%A9%25%7BkeyID%7D";
        assert_eq!(template.expand(&id), format!("http://keys.example:8/k/{encoded}.jwk?id={encoded}"));
    }

    #[test]
    fn the_longest_key_id_in_the_longest_template_is_a_url() {
        let longest_id = KeyId::new(&"\u{e9}".repeat(128)).unwrap();
        let variables = VARIABLE.repeat(MOST_VARIABLES);
        let text =
            format!("http://h/{variables}{}", "x".repeat(LONGEST - "http://h/".len() - variables.len()));
        let template: Template = text.parse().unwrap();
        assert!(template.expand(&longest_id).parse::<Uri>().is_ok());
        assert_eq!(format!("{text}x").parse::<Template>(), Err(TemplateError), "one byte more");
        let more = format!("http://h/{variables}{VARIABLE}");
        assert_eq!(more.parse::<Template>(), Err(TemplateError), "the variable once more");
    }

    #[test]
    fn a_text_that_is_not_a_url_with_the_variable_below_its_host_is_an_error() {
        for text in [
            "",
            "keys/{keyID}",
            "/etc/keys/{keyID}",
            "file:///etc/keys/{keyID}",
            "ftp://h/{keyID}",
            "http://{keyID}/x",
            "https://{keyID}.example.com/x",
            "http://keys.example{keyID}",
            "https://keys.example{keyID}",
            "http://h/{keyid}",
            "http://h/{+keyID}",
            "http://h/{keyID",
            "http://h/keyID}",
            "http://h/a b",
            "http:///{keyID}",
            "http://h/#{keyID}",
        ] {
            assert_eq!(text.parse::<Template>(), Err(TemplateError), "{text}");
        }
        for text in [
            "http://h/{keyID}",
            "https://u:p@h:1/x?k={keyID}",
            "https://h/all.json",
            "http://[::1]:8/{keyID}",
        ] {
            assert!(text.parse::<Template>().is_ok(), "{text}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        let template: Template = "https://user:pass@h:1/x/{keyID}?token=t".parse().unwrap();
        assert_eq!(template.to_string(), "https://h:1/x/{keyID}");
        assert_eq!(format!("{template:?}"), "Template(https://h:1/x/{keyID})");
    }
}
