//! The `X-Webpa-Convey` header, in which a device describes itself when it connects (contract §2.6, §4).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

/// The value of the header for this device. It has all keys of contract §4.2, so that the gateway reports the convey as `full`.
pub(super) fn header(id: &str) -> String {
    let convey = json!({
        "boot-time": 1_700_000_000,
        "hw-model": "SIM-1",
        "hw-manufacturer": "talaria-sim",
        "hw-serial-number": id.trim_start_matches("mac:"),
        "hw-last-reboot-reason": "power-on",
        "fw-name": "sim_1.0.0",
        "last-reconnect-reason": "none",
        "webpa-last-reconnect-reason": "none",
        "webpa-protocol": "talaria-sim-1.0",
        "webpa-interface-used": "erouter0",
        "boot-time-retry-wait": 1,
        "webpa-interface-label": "lan",
        "wan-ipv4-address": "192.0.2.1",
    });
    STANDARD.encode(convey.to_string())
}
