//! The section `inbound`: the API (contract §3, §6).

use super::{
    read::{Section, Setting as _},
    tree::Value,
};
use crate::{api, auth::BasicKeys};

/// Reads the section. A key that cannot be one is a fault: the reference skips it, and leaves the API open if no
/// other is left.
pub(super) fn read(section: &Section<'_>) -> api::Config {
    let mut config = api::Config::default();
    section.read_as("authKey", "base64 of user:password, one or a list", &mut config.keys, |value| {
        let texts = match value {
            Value::List(_) => Vec::<String>::read(value)?,
            _ => vec![String::read(value)?],
        };
        BasicKeys::parse(texts).ok()
    });
    section.read_period("timeout", &mut config.timeout);
    section.read_count("maxBodyBytes", &mut config.max_body_bytes);
    config
}
