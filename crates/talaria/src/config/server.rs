//! The sections of the servers: `primary`, `health`, `metric`, `control` (contract §9).

use std::time::Duration;

use super::read::Section;
use crate::server;

/// Reads the section of a server that listens on this port by default.
pub(super) fn read(section: &Section<'_>, port: u16) -> server::Config {
    let mut config = server::Config::on_port(port);
    section.parse("address", &mut config.address);
    let mut most = 0_usize;
    section.read("maxConnections", &mut most);
    config.max_connections = (most > 0).then_some(most);
    section.read("disableKeepAlives", &mut config.disable_keep_alives);
    section.read_count("maxHeaderBytes", &mut config.max_header_bytes);
    for (key, timeout) in [
        ("idleTimeout", &mut config.idle_timeout),
        ("readHeaderTimeout", &mut config.read_header_timeout),
        ("readTimeout", &mut config.read_timeout),
        ("writeTimeout", &mut config.write_timeout),
    ] {
        let mut duration = Duration::ZERO;
        section.read(key, &mut duration);
        *timeout = (!duration.is_zero()).then_some(duration);
    }
    config
}

/// Reads the section of a server that is started only if it has an address: `control`.
pub(super) fn read_optional(section: &Section<'_>) -> Option<server::Config> {
    let config = read(section, 0);
    let mut address = String::new();
    section.read("address", &mut address);
    if section.is_written_without("address") {
        section.warn("address", "is missing, this server is not started; expected host:port");
    }
    (!address.is_empty()).then_some(config)
}
