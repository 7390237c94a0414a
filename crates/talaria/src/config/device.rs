//! Reads the section `device.manager` (contract §2).

use std::time::Duration;

use talaria_protocol::inbound::SourceCheck;
use talaria_protocol::rate::{MessageRate, Rate};
use talaria_protocol::refusal::RefusalRules;
use talaria_protocol::ws::handshake::Subprotocol;

use super::read::{Section, Setting as _};
use crate::auth;
use crate::device::{self, BeyondRate, RateLimit};
use crate::server::HandshakesConfig;

/// The largest count of connections.
const MAX_COUNT: u64 = 1_000_000;
/// The longest time of a refusal.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);
/// The longest time over which devices are closed.
const LONGEST_CLOSE: Duration = Duration::from_secs(60 * 60);
/// The largest rate and the largest burst.
const MAX_RATE: u64 = 1_000_000_000;

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
    section.read_as(
        "closeOver",
        "a duration of at most 1h; 0s: all at once",
        &mut config.close_over,
        |value| Duration::read(value).filter(|time| *time <= LONGEST_CLOSE),
    );
    read_percent(section, "disconnectCpuPercent", &mut config.disconnect_cpu_percent);
    section.read_period("takeoverTimeout", &mut config.takeover_timeout);
    section.read_count("maxTakeovers", &mut config.max_takeovers);
    section.read_count("maxMessageSize", &mut config.max_message_size);
    section.read_count("maxMessageEntries", &mut config.message_limits.entries);
    section.read_count("maxMessageFieldBytes", &mut config.message_limits.field_bytes);
    section.read_count("maxUnfinishedBytes", &mut config.max_unfinished_bytes);
    section.read_count("maxQueuedBytes", &mut config.max_queued_bytes);
    section.read_period("messageTimeout", &mut config.message_timeout);

    config.rate = read_rate(&section.section("rate"));
    read_refusal(&section.section("refusal"), &mut config.refusal, config.rate.is_some());

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

/// Reads `rate`: what one device may send. A rate of 0 is no limit, and a burst of 0 is as much as comes in a second.
fn read_rate(section: &Section<'_>) -> Option<RateLimit> {
    let read = |rate_key, burst_key| {
        let (mut per_second, mut burst) = (0, 0);
        for (key, number) in [(rate_key, &mut per_second), (burst_key, &mut burst)] {
            section.read_as(key, "a whole number from 0 to 1000000000", number, |value| {
                u64::read(value).filter(|number| *number <= MAX_RATE)
            });
        }
        if per_second == 0 && burst > 0 {
            section.fault(
                burst_key,
                format!("requires {rate_key}, the rate at which the burst is allowed again"),
            );
        }
        let burst = if burst == 0 { per_second } else { burst };
        (per_second > 0).then(|| Rate::per_second(per_second, burst))
    };
    let messages = read("messagesPerSecond", "messagesBurst");
    let bytes = read("bytesPerSecond", "bytesBurst");
    let mut beyond = BeyondRate::default();
    section.read_as("beyond", "pause or drop", &mut beyond, |value| match String::read(value)?.as_str() {
        "" => Some(BeyondRate::default()),
        name => [BeyondRate::Pause, BeyondRate::Drop].into_iter().find(|beyond| beyond.as_str() == name),
    });
    let rate = MessageRate { messages, bytes };
    (rate != MessageRate::default()).then_some(RateLimit { rate, beyond })
}

/// Reads `refusal`: which ids and addresses are refused for a time.
fn read_refusal(section: &Section<'_>, rules: &mut RefusalRules, has_rate: bool) {
    let read_count = |key, count: &mut u64| {
        section.read_as(key, "a whole number from 0 to 1000000", count, |value| {
            u64::read(value).filter(|number| *number <= MAX_COUNT)
        });
    };
    let read_time = |key, expected, shortest, time: &mut Duration| {
        section.read_as(key, expected, time, |value| {
            Duration::read(value).filter(|time| (shortest..=LONGEST).contains(time))
        });
    };
    let (mut per_id, mut per_address, mut floods) = (0, 0, 0);
    read_count("connectsPerId", &mut per_id);
    read_count("connectsPerAddress", &mut per_address);
    read_count("floodsPerAddress", &mut floods);
    let (mut window, mut flood_time) = (Duration::from_secs(60), Duration::ZERO);
    let second = Duration::from_secs(1);
    read_time("window", "a duration from 1s to 24h", second, &mut window);
    read_time("time", "a duration from 1s to 24h", second, &mut rules.time);
    read_time("floodTime", "a duration of at most 24h; 0s: never", Duration::ZERO, &mut flood_time);
    rules.connects_per_id = (per_id > 0).then(|| Rate::within(per_id, window));
    rules.connects_per_address = (per_address > 0).then(|| Rate::within(per_address, window));
    rules.flood_time = (!flood_time.is_zero()).then_some(flood_time);
    rules.floods_per_address = usize::try_from(floods).ok().filter(|floods| *floods > 0);
    if rules.flood_time.is_some() && !has_rate {
        section.fault(
            "floodTime",
            "requires device.manager.rate, the rate that a device may not exceed for so long",
        );
    }
    if rules.floods_per_address.is_some() && rules.flood_time.is_none() {
        section.fault("floodsPerAddress", "requires floodTime, after which an id is refused");
    }
    let (mut ids, mut networks) = (Vec::<String>::new(), Vec::<String>::new());
    section.read("allowedIds", &mut ids);
    section.read("allowedAddresses", &mut networks);
    for (number, id) in ids.iter().enumerate() {
        match id.parse() {
            Ok(id) => _ = rules.allowed_ids.insert(id),
            Err(_) => {
                let problem = format!("is {id:?}, expected a device id such as mac:112233445566");
                section.fault(&format!("allowedIds[{number}]"), problem);
            }
        }
    }
    for (number, network) in networks.iter().enumerate() {
        match network.parse() {
            Ok(network) => rules.allowed_addresses.push(network),
            Err(error) => {
                section.fault(&format!("allowedAddresses[{number}]"), format!("is {network:?}, {error}"));
            }
        }
    }
}

/// Reads `handshakes`: how much of the CPU they may take.
pub(super) fn read_handshakes(section: &Section<'_>) -> HandshakesConfig {
    let mut config = HandshakesConfig::default();
    read_percent(section, "cpuPercent", &mut config.cpu_percent);
    section.read_as("maxWait", "a duration from 1s to 1m", &mut config.max_wait, |value| {
        Duration::read(value).filter(|wait| (Duration::from_secs(1)..=Duration::from_secs(60)).contains(wait))
    });
    config
}

fn read_percent(section: &Section<'_>, key: &str, percent: &mut u32) {
    section.read_as(key, "a whole number from 1 to 100", percent, |value| {
        u32::try_from(u64::read(value)?).ok().filter(|percent| (1..=100).contains(percent))
    });
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
