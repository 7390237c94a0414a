//! Reads the sections of the API: `inbound` and `deviceAccessCheck` (contract §3.9, §6.1).

use super::read::{Section, Setting as _};
use super::tree::Value;
use super::{access, jwt};
use crate::api;
use crate::auth::BasicKeys;
use crate::auth::capabilities::Capabilities;
use crate::auth::services::Tokens;

/// Reads `inbound` and `deviceAccessCheck`.
pub(super) fn read(root: &Section<'_>) -> api::Config {
    let section = root.section("inbound");
    let mut config = api::Config::default();
    read_keys(&section, &mut config.auth.keys);
    config.auth.tokens = read_tokens(&section.section("jwt"));
    let mut failures = config.auth.attempts.failures.unwrap_or_default();
    section.read_limit("throttle.failures", &mut failures);
    config.auth.attempts.failures = (failures > 0).then_some(failures);
    section.read_period("throttle.longest", &mut config.auth.attempts.longest);
    section.read_period("timeout", &mut config.timeout);
    section.read_count("maxBodyBytes", &mut config.max_body_bytes);
    section.read_count("maxPendingBytes", &mut config.max_pending_bytes);
    section.read_count("maxRequestsPerCaller", &mut config.max_requests_per_caller);
    config.access = access::read(&root.section("deviceAccessCheck"));
    config
}

/// Reads the `authKey` of the API or of a server. A malformed key is skipped with a warning that does not show it, as
/// long as another one is good; with only malformed ones the server would be open, so that is a fault.
pub(super) fn read_keys(section: &Section<'_>, keys: &mut Option<BasicKeys>) {
    let is_good = |key: &String| matches!(BasicKeys::parse([key]), Ok(Some(_)));
    let mut written = Vec::new();
    section.read_as("authKey", "base64 of user:password, one or a list", &mut written, |value| {
        let written = split_keys(value)?;
        (written.is_empty() || written.iter().any(is_good)).then_some(written)
    });
    for (index, _) in written.iter().enumerate().filter(|(_, key)| !is_good(key)) {
        let (number, count) = (index + 1, written.len());
        section.warn(
            "authKey",
            format!(
                "has a key, number {number} of {count}, that is not base64 of user:password and is skipped"
            ),
        );
    }
    written.retain(is_good);
    // Only good keys are left.
    *keys = BasicKeys::parse(written).unwrap_or_default();
}

/// Each key of a text or list of texts; a text is split at blanks (contract §6.1).
fn split_keys(value: &Value) -> Option<Vec<String>> {
    let texts = match value {
        Value::List(_) => Vec::<String>::read(value)?,
        _ => vec![String::read(value)?],
    };
    Some(texts.iter().flat_map(|text| text.split_whitespace()).map(str::to_owned).collect())
}

/// Reads how tokens for the API are checked; `None` if the section is as in the sample.
fn read_tokens(section: &Section<'_>) -> Option<Tokens> {
    let jwt = jwt::read(section)?;
    let (mut prefix, mut all_methods) = (String::new(), String::new());
    section.read("capabilities.prefix", &mut prefix);
    section.read("capabilities.acceptAllMethod", &mut all_methods);
    match Capabilities::new(&prefix, &all_methods) {
        Ok(capabilities) => Some(Tokens { jwt, capabilities }),
        Err(_) => {
            section.fault("capabilities.prefix", format!("is {prefix:?}, expected a regular expression"));
            None
        }
    }
}
