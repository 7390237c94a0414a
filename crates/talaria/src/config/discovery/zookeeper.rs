//! Reads `service.zookeeper` (contract §11.8).

use std::time::Duration;

use talaria_protocol::discovery::instance;
use talaria_protocol::discovery::zookeeper::is_path;

use super::super::read::{Section, Setting as _};
use super::entries::{are_few, bad_address, check_complete, sections, warn_of_nothing_to_do};
use crate::discovery::Config as Discovery;
use crate::discovery::zookeeper::{Config, Registration};

/// The default of `connection`, and the port of a server that has none.
const DEFAULT_SERVER: &str = "localhost:2181";
const DEFAULT_PORT: u16 = 2181;

/// What a path has to be.
const PATH: &str = "a path such as /xmidt/test";

/// The longest session.
const LONGEST_SESSION: Duration = Duration::from_secs(600);

/// Reads `zookeeper`.
pub(super) fn read(section: &Section<'_>, discovery: &mut Discovery) -> Config {
    let client = section.section("client");
    let mut config = Config {
        servers: read_servers(&client),
        connect_timeout: Duration::from_secs(5),
        session_timeout: Duration::from_secs(10),
        registrations: Vec::new(),
        watches: Vec::new(),
    };
    client.read_period("connectTimeout", &mut config.connect_timeout);
    client.read_as("sessionTimeout", "a duration from 1s to 10m", &mut config.session_timeout, |value| {
        let time = Duration::read(value)?;
        if time.is_zero() {
            return Some(Duration::from_secs(10));
        }
        Some(time).filter(|time| (Duration::from_secs(1)..=LONGEST_SESSION).contains(time))
    });
    let mut ignored = Duration::ZERO;
    client.read_timeout("updateInterval", &mut ignored);
    let mut own = Vec::new();
    for section in &sections(section, "registrations") {
        let (registration, instance) = read_registration(section, discovery);
        config.registrations.push(registration);
        own.extend(instance);
    }
    section.read("watches", &mut config.watches);
    are_few(section, "watches", config.watches.len());
    for (at, path) in config.watches.iter().enumerate() {
        if !is_path(path) {
            section.fault(&format!("watches[{at}]"), format!("is {path:?}, expected {PATH}"));
        } else if config.watches[..at].contains(path) {
            section.warn("watches", format!("has {path} twice"));
        }
    }
    let mut known = Vec::new();
    config.watches.retain(|path| {
        !known.contains(path) && {
            known.push(path.clone());
            true
        }
    });
    check_complete(section);
    if discovery.own.is_empty() {
        discovery.own = own;
    }
    warn_of_nothing_to_do(section, discovery, config.watches.iter().map(String::as_str));
    config
}

fn read_servers(section: &Section<'_>) -> Vec<String> {
    let mut servers = Vec::new();
    let expected = "host:port of one or more servers, separated by commas";
    for key in ["connection", "servers"] {
        let mut texts = Vec::<String>::new();
        section.read(key, &mut texts);
        for text in texts {
            let is_server = match text.rsplit_once(':') {
                Some((host, port)) => !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0),
                None => true,
            };
            if !is_server || text.contains(['/', '@', ' ']) {
                section.fault(key, format!("has {text:?}, expected {expected}"));
            } else if text.contains(':') {
                servers.push(text);
            } else {
                servers.push(format!("{text}:{DEFAULT_PORT}"));
            }
        }
    }
    are_few(section, "servers", servers.len());
    if servers.is_empty() {
        servers.push(DEFAULT_SERVER.to_owned());
    }
    servers
}

/// The defaults are the reference's.
fn read_registration(section: &Section<'_>, discovery: &Discovery) -> (Registration, Option<String>) {
    let text = |key: &str, default: &str| {
        let mut text = String::new();
        section.read(key, &mut text);
        if text.is_empty() { default.to_owned() } else { text }
    };
    let (name, path) = (text("name", "test"), text("path", "/xmidt/test"));
    let (address, scheme) = (text("address", "localhost"), text("scheme", "http"));
    let path = path.trim_end_matches('/').to_owned();
    if !is_path(&path) {
        section.fault("path", format!("is {path:?}, expected {PATH}"));
    }
    if !is_path(&format!("/{name}")) {
        section.fault("name", format!("is {name:?}, expected the name of a service such as talaria"));
    }
    let mut port = 8080_u16;
    section.read_as("port", "a port from 1 to 65535", &mut port, |value| {
        u16::try_from(u32::read(value)?).ok().filter(|port| *port > 0)
    });
    let url = match instance::registered(&scheme, &address, port) {
        Ok(url) => url,
        Err(_) => {
            bad_address(section, &address);
            String::new()
        }
    };
    let own = instance::normalize(&discovery.default_scheme, &url).ok();
    (Registration { path, name, url }, own)
}
