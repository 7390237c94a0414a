//! The check of the settings of the schema registry and of dead letters.

use std::time::Duration;

use super::Faults;
use crate::config::{DeadLetter, SchemaRegistry};

/// How long a registry may take to answer, at least and at most.
const TIMEOUT: std::ops::RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

impl SchemaRegistry {
    pub(super) fn check(&self, faults: &mut Faults) {
        for (i, url) in self.urls.iter().enumerate() {
            if let Some(problem) = url_problem(url) {
                // Not the URL itself: it may hold a password.
                faults.add(format!("schemaRegistry.urls[{i}]"), problem);
            }
        }
        if !self.is_enabled() {
            return;
        }
        if !TIMEOUT.contains(&self.timeout) {
            faults.add("schemaRegistry.timeout", format!("is {:?}: expected 100ms to 1m", self.timeout));
        }
        let has_password = !self.password.reveal().is_empty();
        if has_password && !self.password_file.is_empty() {
            faults.add("schemaRegistry.passwordFile", "excludes password: expected only one of them");
        }
        if self.username.is_empty() && (has_password || !self.password_file.is_empty()) {
            faults.add("schemaRegistry.username", "is empty: a password needs a user");
        }
        if self.username.contains(':') {
            faults
                .add("schemaRegistry.username", "contains a colon, which basic authentication cannot carry");
        }
    }
}

impl DeadLetter {
    pub(super) fn check(&self, faults: &mut Faults) {
        let fits = self.topic.len() <= 249
            && self.topic.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
        if !fits {
            let problem = "is no name of a topic: expected at most 249 letters, digits, `.`, `_` and `-`";
            faults.add("deadLetter.topic", problem);
        }
    }
}

/// What is wrong with a registry's address.
fn url_problem(url: &str) -> Option<&'static str> {
    let parts = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let Some(rest) = parts else { return Some("is no address: expected http://… or https://…") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        Some("contains a user: expected schemaRegistry.username and password instead")
    } else if authority.is_empty() || url.contains(['?', '#']) || url.parse::<ureq::http::Uri>().is_err() {
        Some("is no address: expected http://host:port or https://host:port, perhaps with a path")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, SchemaRegistry};

    use super::*;

    fn keys(registry: SchemaRegistry) -> Vec<String> {
        let config = Config {
            brokers: vec!["a:1".to_owned()],
            schema_registry: registry,
            dead_letter: DeadLetter { topic: "dead letters".to_owned() },
            ..Config::default()
        };
        config.check().unwrap_err().into_iter().map(|fault| fault.key).collect()
    }

    #[test]
    fn faults_name_their_keys_and_show_no_password() {
        let registry = SchemaRegistry {
            urls: vec!["http://a".into(), "ftp://a".into(), "https://me:hunter2@b/".into(), "http://".into()],
            username: "a:b".to_owned(),
            password: "hunter2".into(),
            password_file: "/run/secret".to_owned(),
            timeout: Duration::ZERO,
            ..SchemaRegistry::default()
        };
        let config = Config { schema_registry: registry.clone(), ..Config::default() };
        assert!(!format!("{:?} {:?}", config.schema_registry.password, config.check()).contains("hunter2"));
        assert_eq!(
            keys(registry),
            [
                "schemaRegistry.urls[1]",
                "schemaRegistry.urls[2]",
                "schemaRegistry.urls[3]",
                "schemaRegistry.timeout",
                "schemaRegistry.passwordFile",
                "schemaRegistry.username",
                "deadLetter.topic",
            ]
        );
    }
}
