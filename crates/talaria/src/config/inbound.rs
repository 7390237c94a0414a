//! The sections of the API: `inbound` and `deviceAccessCheck` (contract §3.9, §6.1).

use super::{
    access, jwt,
    read::{Section, Setting as _},
    tree::Value,
};
use crate::{
    api,
    auth::{BasicKeys, capabilities::Capabilities, services::Tokens},
};

/// Reads the sections. A key that cannot be one is a fault: the reference skips it, and leaves the API open if no
/// other is left.
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

/// Reads an `authKey`. A key that cannot be one is a fault: the reference skips it, and is open if no other is left.
pub(super) fn read_keys(section: &Section<'_>, keys: &mut Option<BasicKeys>) {
    section.read_as("authKey", "base64 of user:password, one or a list", keys, |value| {
        let texts = match value {
            Value::List(_) => Vec::<String>::read(value)?,
            _ => vec![String::read(value)?],
        };
        BasicKeys::parse(texts).ok()
    });
}

/// Tokens of services, if they are taken.
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
