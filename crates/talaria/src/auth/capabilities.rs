//! The requests that a service's token allows: the entries of its claim `capabilities`, in XMiDT's form
//! `<prefix><regular expression of the path>:<method>`, such as `x1:webpa:api:.*:all`.

use http::Method;
use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value};

/// How many capabilities of a token are read.
const MAX_CAPABILITIES: usize = 64;

/// The length of a capability, in bytes. Longer ones are ignored.
const MAX_LENGTH: usize = 512;

/// The memory of one compiled regular expression of a token, in bytes.
const MAX_REGEX_SIZE: usize = 64 * 1024;

/// The form of capabilities (`inbound.jwt.capabilities`).
#[derive(Clone, Debug)]
pub struct Capabilities {
    shape: Regex,
    all_methods: Box<str>,
}

impl Capabilities {
    /// Capabilities whose prefix matches this regular expression, where `all_methods` stands for every method.
    ///
    /// # Errors
    /// If the prefix is not a regular expression.
    pub fn new(prefix: &str, all_methods: &str) -> Result<Self, regex::Error> {
        let shape = Regex::new(&format!("^(?:{prefix})(.+):([^:]+)$"))?;
        Ok(Self { shape, all_methods: all_methods.into() })
    }

    /// Whether these claims allow a request. The path's expression has to match from the start, either of the whole path
    /// (`/api/v3/devices`) or of what follows the version (`/devices`); it need not match to the end, as in XMiDT.
    pub fn allow(&self, claims: &Map<String, Value>, method: &Method, path: &str) -> bool {
        let Some(Value::Array(capabilities)) = claims.get("capabilities") else { return false };
        let below_version = path.strip_prefix("/api/").and_then(|rest| Some(&rest[rest.find('/')?..]));
        let paths = [Some(path), below_version];
        capabilities
            .iter()
            .take(MAX_CAPABILITIES)
            .filter_map(Value::as_str)
            .filter(|one| one.len() <= MAX_LENGTH)
            .any(|one| {
                let Some((_, [endpoint, allowed])) = self.shape.captures(one).map(|found| found.extract())
                else {
                    return false;
                };
                let is_method =
                    allowed == &*self.all_methods || allowed.eq_ignore_ascii_case(method.as_str());
                is_method && paths.into_iter().flatten().any(|path| matches_from_start(endpoint, path))
            })
    }
}

impl Default for Capabilities {
    fn default() -> Self {
        // The test `the_default_is_that_of_xmidt` builds it.
        #[expect(clippy::expect_used, reason = "a constant expression")]
        Self::new("x1:webpa:api:", "all").expect("the default prefix is a regular expression")
    }
}

fn matches_from_start(endpoint: &str, path: &str) -> bool {
    let slash = if endpoint.starts_with('/') { "" } else { "/" };
    // `.*` means every path, although paths begin with a slash.
    let expression = format!("^(?:{slash}(?:{endpoint}))");
    let built = RegexBuilder::new(&expression).size_limit(MAX_REGEX_SIZE).build();
    built.is_ok_and(|expression| expression.is_match(path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn allows(capabilities: &Value, method: &Method, path: &str) -> bool {
        let claims = json!({ "capabilities": capabilities });
        Capabilities::default().allow(claims.as_object().unwrap(), method, path)
    }

    #[test]
    fn the_default_is_that_of_xmidt() {
        let all = json!(["x1:webpa:api:.*:all"]);
        assert!(allows(&all, &Method::GET, "/api/v2/devices"));
        assert!(allows(&all, &Method::POST, "/api/v3/device/send"));
    }

    #[test]
    fn a_capability_allows_its_paths_and_its_method() {
        for (capability, method, path, expected) in [
            ("x1:webpa:api:/devices:get", "GET", "/api/v2/devices", true),
            ("x1:webpa:api:/devices:GET", "GET", "/api/v2/devices", true),
            ("x1:webpa:api:/devices:get", "POST", "/api/v2/devices", false),
            ("x1:webpa:api:/api/v3/devices:get", "GET", "/api/v3/devices", true),
            ("x1:webpa:api:/api/v3/devices:get", "GET", "/api/v2/devices", false),
            ("x1:webpa:api:devices:get", "GET", "/api/v2/devices", true),
            ("x1:webpa:api:/device/.*/stat:get", "GET", "/api/v2/device/mac:112233445566/stat", true),
            ("x1:webpa:api:/device/mac:1.*/stat:get", "GET", "/api/v2/device/mac:112233445566/stat", true),
            ("x1:webpa:api:/device/send:post", "POST", "/api/v2/device/send", true),
            ("x1:webpa:api:/stat:get", "GET", "/api/v2/device/mac:112233445566/stat", false),
            ("x1:webpa:api:/a|/devices:get", "GET", "/api/v2/devices", true),
            ("x1:webpa:apis:.*:all", "GET", "/api/v2/devices", false),
            ("y:x1:webpa:api:.*:all", "GET", "/api/v2/devices", false),
            ("x1:webpa:api::all", "GET", "/api/v2/devices", false),
            ("x1:webpa:api:.*", "GET", "/api/v2/devices", false),
            ("x1:webpa:api:.*:", "GET", "/api/v2/devices", false),
            ("x1:webpa:api:(:all", "GET", "/api/v2/devices", false),
            ("x1:webpa:api:(a{1000}){1000}:all", "GET", "/api/v2/devices", false),
            ("", "GET", "/api/v2/devices", false),
        ] {
            let method: Method = method.parse().unwrap();
            assert_eq!(allows(&json!([capability]), &method, path), expected, "{capability} {path}");
        }
    }

    #[test]
    fn without_a_list_of_texts_nothing_is_allowed() {
        for capabilities in
            [json!(null), json!("x1:webpa:api:.*:all"), json!([]), json!([1]), json!({"a": 1})]
        {
            assert!(!allows(&capabilities, &Method::GET, "/api/v2/devices"), "{capabilities}");
        }
        let claims = Map::new();
        assert!(!Capabilities::default().allow(&claims, &Method::GET, "/api/v2/devices"));
    }
}
