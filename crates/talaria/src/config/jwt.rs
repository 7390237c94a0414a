//! Reads how tokens are checked: `jwtValidator` for devices, `inbound.jwt` for the API (contract §6.2, §6.6).

use std::str::FromStr as _;
use std::time::Duration;

use talaria_protocol::connect::CertificateRule;
use talaria_protocol::keys::{MinRsaBits, Template};
use talaria_protocol::token::Leeway;

use super::read::{Section, Setting as _};
use super::tree::Value;
use crate::auth::keys::Source;
use crate::auth::{DeviceConfig, jwt};
use crate::server::tls;

/// Reads `jwtValidator` and `failOpen`.
pub(super) fn read_devices(root: &Section<'_>) -> DeviceConfig {
    let mut config = DeviceConfig { jwt: read(&root.section("jwtValidator")), ..DeviceConfig::default() };
    root.read("failOpen", &mut config.fail_open);
    config.certificate_rule = read_certificate_rule(root);
    if config.fail_open && config.jwt.is_some() {
        root.warn(
            "failOpen",
            "is true although jwtValidator is configured: a device without a token is accepted under any id",
        );
    }
    if !config.fail_open && config.jwt.is_none() {
        root.warn(
            "failOpen",
            "is false, but jwtValidator is not configured: tokens are not checked and every device is accepted",
        );
    }
    config
}

/// Reads `primary.deviceIdFromCertificate`, which also binds the devices of the alternate server: otherwise that would be
/// the way around it.
fn read_certificate_rule(root: &Section<'_>) -> Option<CertificateRule> {
    const KEY: &str = "deviceIdFromCertificate";
    let primary = root.section("primary");
    let mut text = String::new();
    primary.read(KEY, &mut text);
    if text.is_empty() {
        return None;
    }
    if primary.is_empty(CLIENT_CA) {
        primary.fault(KEY, format!("requires {CLIENT_CA}: without it no device presents a certificate"));
    }
    let alternate = root.section("alternate");
    if !alternate.is_empty("address") && alternate.is_empty(CLIENT_CA) {
        alternate.warn(
            CLIENT_CA,
            format!("is empty although primary.{KEY} is set: no device can connect to this server"),
        );
    }
    text.parse().inspect_err(|error| primary.fault(KEY, format!("is {text:?}, {error}"))).ok()
}

/// Reads one of the sections; `None` if it is as in the sample. A section that differs from the sample, even by a
/// misspelt key, but names no source of keys is a fault: it was written so that tokens are checked.
pub(super) fn read(section: &Section<'_>) -> Option<jwt::Config> {
    if !section.differs_from(super::sample::tree()) {
        return None;
    }
    let mut config = jwt::Config::default();
    let keys = &mut config.keys;
    let resolve = section.section("Config.Resolve");
    let mut template = None;
    resolve.read_as("Template", TEMPLATE, &mut template, |value| match value {
        Value::Text(text) if text.is_empty() => Some(None),
        Value::Text(text) => Template::from_str(text).ok().map(Some),
        _ => None,
    });
    keys.template = template;
    resolve.read_period("Timeout", &mut keys.timeout);
    resolve.read_period("MaxAge", &mut keys.max_age);
    resolve.read_count("MaxKeys", &mut keys.max_keys);
    keys.sources = section.sections("Config.Refresh.Sources").iter().filter_map(read_source).collect();
    let mut min_bits = 0;
    section.read_count("Config.MinRSABits", &mut min_bits);
    match MinRsaBits::new(min_bits) {
        Ok(bits) => keys.min_rsa_bits = bits,
        Err(_) if min_bits == 0 => {}
        Err(error) => section.fault("Config.MinRSABits", format!("is {min_bits}, {error}")),
    }
    config.required.leeway = read_leeway(&section.section("Leeway"));
    section.read("Audience", &mut config.required.audiences);
    section.read("Issuer", &mut config.required.issuers);

    let is_blank = matches!(resolve.section("Template").value(), Value::Null)
        || matches!(resolve.section("Template").value(), Value::Text(text) if text.is_empty());
    if is_blank && keys.sources.is_empty() {
        resolve.fault(
            "Template",
            format!("is empty, expected {TEMPLATE}, or at least one of Config.Refresh.Sources"),
        );
    }
    Some(config)
}

const CLIENT_CA: &str = tls::Key::ClientCa.as_str();
const TEMPLATE: &str = "an http:// or https:// URL with {keyID} in its path or query";

fn read_source(section: &Section<'_>) -> Option<Source> {
    const HOUR: Duration = Duration::from_secs(60 * 60);
    let mut uri = None;
    section.read_as("uri", "an http:// or https:// URL of a document of keys", &mut uri, |value| {
        let Value::Text(text) = value else { return None };
        Template::from_str(text).ok().filter(|uri| !uri.has_variable()).map(Some)
    });
    if matches!(section.section("uri").value(), Value::Null) {
        section.fault("uri", "is missing, expected an http:// or https:// URL of a document of keys");
    }
    let (mut interval, mut min_interval, mut jitter) = (24 * HOUR, HOUR / 6, 0.1);
    section.read_period("interval", &mut interval);
    section.read_period("minInterval", &mut min_interval);
    section.read_as("jitter", "a number from 0 to 1", &mut jitter, |value| {
        let (Value::Number(text) | Value::Text(text)) = value else { return None };
        text.parse().ok().filter(|jitter| (0.0..=1.0).contains(jitter))
    });
    if interval < min_interval {
        section.warn("interval", "is shorter than minInterval, which is used instead");
        interval = min_interval;
    }
    Some(Source { uri: uri?, interval, min_interval, jitter })
}

/// Reads whole seconds, as the reference does, or a duration.
fn read_leeway(section: &Section<'_>) -> Leeway {
    let mut leeway = Leeway::default();
    for (key, target) in [("EXP", &mut leeway.exp), ("NBF", &mut leeway.nbf), ("IAT", &mut leeway.iat)] {
        section.read_as(key, "a number of seconds", target, |value| match u64::read(value) {
            Some(seconds) => Some(Duration::from_secs(seconds)),
            None if matches!(value, Value::Text(_)) => Duration::read(value),
            None => None,
        });
    }
    leeway
}
