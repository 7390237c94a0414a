//! Reads the sections of the API: `inbound` and `deviceAccessCheck` (contract §3.9, §6.1).

use super::{
    access, jwt,
    read::{Section, Setting as _},
    tree::Value,
};
use crate::{
    api,
    auth::{BasicKeys, capabilities::Capabilities, services::Tokens},
};

/// Reads `inbound` and `deviceAccessCheck`.
pub(super) fn read(root: &Section<'_>) -> api::Config {
    let section = root.section("inbound");
    let mut config = api::Config::default();
    read_keys(&section, &mut config.auth.keys);
    config.auth.tokens = read_tokens(&section.section("jwt"));
    let mut failures = 0;
    section.read("throttle.failures", &mut failures);
    config.auth.attempts.failures = (failures > 0).then_some(failures);
    section.read_period("throttle.longest", &mut config.auth.attempts.longest);
    section.read_period("timeout", &mut config.timeout);
    section.read_count("maxBodyBytes", &mut config.max_body_bytes);
    config.access = access::read(&root.section("deviceAccessCheck"));
    config
}

/// Reads the `authKey` of the API or of a server. A malformed key is a fault. (The Go Talaria skips it, and accepts
/// every request if there is no other key.)
pub(super) fn read_keys(section: &Section<'_>, keys: &mut Option<BasicKeys>) {
    section.read_as("authKey", "base64 of user:password, one or a list", keys, |value| {
        let texts = match value {
            Value::List(_) => Vec::<String>::read(value)?,
            _ => vec![String::read(value)?],
        };
        BasicKeys::parse(texts).ok()
    });
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
