//! Checks the settings of the schema registry and of dead letters (contract §8.13, §8.14).

use std::ops::RangeInclusive;
use std::time::Duration;

use super::{Faults, TWO_PASSWORDS};
use crate::config::{DeadLetter, SchemaRegistry};
use crate::routing::check_topic;

/// The bounds of the time that a registry may take to answer.
const TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(100)..=Duration::from_secs(60);

impl SchemaRegistry {
    pub(super) fn check(&self, faults: &mut Faults) {
        for (i, url) in self.urls.iter().enumerate() {
            if let Some(problem) = url_problem(url) {
                // Without the URL itself, which may hold a password.
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
            faults.add("schemaRegistry.passwordFile", TWO_PASSWORDS);
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
        if !self.topic.is_empty()
            && let Err(error) = check_topic(&self.topic)
        {
            faults.add("deadLetter.topic", error.to_string());
        }
    }
}

/// What is wrong with a registry's address.
fn url_problem(url: &str) -> Option<&'static str> {
    let parts = ["http://", "https://"].iter().find_map(|scheme| url.strip_prefix(scheme));
    let Some(rest) = parts else { return Some("is not an address: expected http://… or https://…") };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.contains('@') {
        Some("contains a user: expected schemaRegistry.username and password instead")
    } else if authority.is_empty() || url.contains(['?', '#']) || url.parse::<http::Uri>().is_err() {
        Some("is not an address: expected http://host:port or https://host:port, perhaps with a path")
    } else {
        None
    }
}
