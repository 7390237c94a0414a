//! Reads the section `device.manager` (contract §2).

use std::time::Duration;

use talaria_protocol::inbound::SourceCheck;
use talaria_protocol::ws::handshake::Subprotocol;

use super::read::{Section, Setting as _};
use crate::{auth, device};

/// Reads `device.manager`.
pub(super) fn read(section: &Section<'_>) -> device::Config {
    let mut config = device::Config::default();
    let mut most = 0_usize;
    section.read_limit("maxDevices", &mut most);
    config.max_devices = (most > 0).then_some(most);
    section.read_count("deviceMessageQueueSize", &mut config.outbox.messages);
    section.read_count("deviceMessageQueueBytes", &mut config.outbox.bytes);
    section.read_period("pingPeriod", &mut config.ping_period);
    section.read_period("idlePeriod", &mut config.idle_period);
    section.read_period("writeTimeout", &mut config.write_timeout);
    let mut closes_expired = false;
    section.read("closeExpired", &mut closes_expired);
    config.close_expired = closes_expired.then_some(Duration::ZERO);
    section.read_period("takeoverTimeout", &mut config.takeover_timeout);
    section.read_count("maxTakeovers", &mut config.max_takeovers);
    section.read_count("maxMessageSize", &mut config.max_message_size);
    section.read_count("maxMessageEntries", &mut config.message_limits.entries);
    section.read_count("maxMessageFieldBytes", &mut config.message_limits.field_bytes);
    section.read_count("maxUnfinishedBytes", &mut config.max_unfinished_bytes);
    section.read_count("maxQueuedBytes", &mut config.max_queued_bytes);
    section.read_period("messageTimeout", &mut config.message_timeout);

    let mut check = String::new();
    section.read("wrpSourceCheck.type", &mut check);
    config.source_check = SourceCheck::from_type(&check);
    if !matches!(check.as_str(), "" | "monitor" | "enforce") {
        section.warn(
            "wrpSourceCheck.type",
            format!("is {check:?}, monitor is used instead; expected monitor or enforce"),
        );
    }
    if config.idle_period <= config.ping_period {
        section.warn(
            "idlePeriod",
            "is not longer than pingPeriod: devices that send no messages are disconnected before they are pinged",
        );
    }
    config
}

/// Completes `closeExpired` with what belongs to tokens: a device is closed when its token would not be accepted any more.
pub(super) fn read_expiry(section: &Section<'_>, config: &mut device::Config, auth: &auth::DeviceConfig) {
    let Some(after) = &mut config.close_expired else { return };
    match &auth.jwt {
        Some(jwt) => *after = jwt.required.leeway.exp,
        None => section
            .warn("closeExpired", "has no effect: jwtValidator is not configured, so no device has a token"),
    }
}

/// Reads `device.manager.upgrader`, of which only the subprotocols have an effect.
pub(super) fn read_subprotocols(section: &Section<'_>) -> Vec<Subprotocol> {
    let mut subprotocols = Vec::new();
    section.read_as(
        "subprotocols",
        "a list of names of WebSocket subprotocols",
        &mut subprotocols,
        |value| Vec::<String>::read(value)?.iter().map(|name| name.parse().ok()).collect(),
    );
    subprotocols
}
