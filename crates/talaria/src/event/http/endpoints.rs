//! Which events are posted to which URLs: `device.outbound.eventEndpoints` (contract §5.1).

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;

use talaria_protocol::url::{Target, UrlError};

/// The key of the URLs for event types without URLs of their own.
const DEFAULT: &str = "default";

/// The URLs of each event type. Keys match without regard to case.
#[derive(Clone, Debug, Default)]
pub struct Endpoints {
    by_type: HashMap<Box<str>, Urls>,
    default: Urls,
}

/// The URLs of one event type. A text that is not a URL is kept, so that the events for it are counted as dropped.
pub type Urls = Arc<[Result<Arc<Target>, UrlError>]>;

/// Which event types have URLs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coverage {
    /// There is a default.
    All,
    /// Those that are named.
    Some,
    /// No event is posted.
    None,
}

/// An endpoint that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key}: {problem}")]
pub struct EndpointError {
    /// The key below `eventEndpoints`, for instance `a.b[1]`; empty for the section itself.
    pub key: String,
    /// What is wrong, and what is expected.
    pub problem: String,
}

impl Endpoints {
    /// Reads the section: a map from event types to a URL or a list of URLs. Nested maps make event types with dots. An empty
    /// list counts as absent.
    ///
    /// # Errors
    /// All values that are neither texts nor lists of texts nor maps.
    pub fn parse(section: &serde_json::Value) -> Result<Self, Vec<EndpointError>> {
        let mut endpoints = Self::default();
        let mut errors = Vec::new();
        match section {
            serde_json::Value::Null => {}
            serde_json::Value::Object(_) => endpoints.add_tree(&mut String::new(), section, &mut errors),
            other => errors.push(EndpointError::new("", "a map from event types to URLs", other)),
        }
        if errors.is_empty() { Ok(endpoints) } else { Err(errors) }
    }

    /// Sets the URLs of one event type or of `default`.
    pub fn insert<'a>(&mut self, event_type: &str, urls: impl IntoIterator<Item = &'a str>) {
        let urls: Urls = urls.into_iter().map(|url| Target::parse(url).map(Arc::new)).collect();
        let key = event_type.to_lowercase();
        if key == DEFAULT {
            self.default = urls;
        } else if !urls.is_empty() {
            self.by_type.insert(key.into(), urls);
        }
    }

    /// The URLs for an event type; none if it has no URLs and there is no default.
    pub fn get(&self, event_type: &str) -> Option<&Urls> {
        let own = match self.by_type.get(event_type) {
            None if event_type.chars().any(char::is_uppercase) => {
                self.by_type.get(&*event_type.to_lowercase())
            }
            found => found,
        };
        own.or_else(|| (!self.default.is_empty()).then_some(&self.default))
    }

    /// Which event types have URLs.
    pub(super) fn coverage(&self) -> Coverage {
        match (self.default.is_empty(), self.by_type.is_empty()) {
            (false, _) => Coverage::All,
            (true, false) => Coverage::Some,
            (true, true) => Coverage::None,
        }
    }

    /// Every URL with its event type.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Result<Arc<Target>, UrlError>)> {
        let default = self.default.iter().map(|url| (DEFAULT, url));
        let others = self.by_type.iter().flat_map(|(key, urls)| urls.iter().map(move |url| (&**key, url)));
        default.chain(others)
    }

    fn add_tree(&mut self, key: &mut String, value: &serde_json::Value, errors: &mut Vec<EndpointError>) {
        match value {
            serde_json::Value::String(url) => self.insert(key, [url.as_str()]),
            serde_json::Value::Array(urls) => {
                let at = |index| format!("{key}[{index}]");
                let texts = urls.iter().enumerate().filter_map(|(index, url)| {
                    if !url.is_string() {
                        errors.push(EndpointError::new(&at(index), "a URL", url));
                    }
                    url.as_str()
                });
                self.insert(key, texts);
            }
            serde_json::Value::Object(map) => {
                for (name, value) in map {
                    let parent = key.len();
                    // Writing to a String cannot fail.
                    let _ = write!(key, "{}{name}", if parent == 0 { "" } else { "." });
                    self.add_tree(key, value, errors);
                    key.truncate(parent);
                }
            }
            other => errors.push(EndpointError::new(key, "a URL or a list of URLs", other)),
        }
    }
}

impl EndpointError {
    fn new(key: &str, expected: &str, found: &serde_json::Value) -> Self {
        Self { key: key.to_owned(), problem: format!("expected {expected}, found {found}") }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn urls(endpoints: &Endpoints, event_type: &str) -> Vec<String> {
        let urls = endpoints.get(event_type).map(|urls| urls.to_vec()).unwrap_or_default();
        urls.into_iter()
            .map(|url| url.map_or("malformed".to_owned(), |target| target.url().to_owned()))
            .collect()
    }

    #[test]
    fn nested_maps_make_event_types_with_dots() {
        let endpoints =
            Endpoints::parse(&json!({"a": {"b": "http://b/", "C": ["http://c1/", "http://c2/"]}})).unwrap();
        assert_eq!(urls(&endpoints, "a.b"), ["http://b/"]);
        assert_eq!(urls(&endpoints, "A.c"), ["http://c1/", "http://c2/"]);
        assert!(urls(&endpoints, "a").is_empty());
    }

    #[test]
    fn an_event_type_without_its_own_urls_gets_the_default_ones() {
        let endpoints =
            Endpoints::parse(&json!({"default": "http://d/", "iot": "http://i/", "none": []})).unwrap();
        assert_eq!(urls(&endpoints, "IOT"), ["http://i/"]);
        assert_eq!(urls(&endpoints, "none"), ["http://d/"]);
        assert_eq!(urls(&endpoints, "x"), ["http://d/"]);
    }

    #[test]
    fn a_malformed_url_takes_nothing_from_its_neighbours() {
        let endpoints = Endpoints::parse(&json!({"iot": ["http://ok/", "http://a b/"]})).unwrap();
        assert_eq!(urls(&endpoints, "iot"), ["http://ok/", "malformed"]);
    }

    #[test]
    fn every_value_of_another_type_is_a_fault_that_names_its_key() {
        let errors = Endpoints::parse(&json!({"iot": 5, "a": {"b": ["http://x/", true]}})).unwrap_err();
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            errors,
            ["iot: expected a URL or a list of URLs, found 5", "a.b[1]: expected a URL, found true"]
        );
    }
}
