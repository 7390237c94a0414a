//! Reads the sections of the servers: `primary`, `alternate`, `health`, `metric` and `control` (contract §9.7, §9.8).

use std::path::PathBuf;
use std::sync::Arc;

use talaria_protocol::network::Network;
use talaria_protocol::rate::Rate;
use talaria_protocol::web_page::{ServerName, ServerNames};

use super::inbound::read_keys;
use super::read::{Section, Setting as _};
use super::tree::Value;
use crate::server::tls::{self, Key, Pair, Version, Versions};
use crate::server::{self, Guard, OpenAccess, Proxies};

/// Reads the section of a server without which there is no gateway. It listens on this port if no address is given; an
/// empty address is a fault.
pub(super) fn read_required(section: &Section<'_>, port: u16) -> server::Config {
    if section.is_empty("address") {
        section.fault("address", "is empty, expected host:port, or :port for every interface");
    }
    read(section, server::Config::on_port(port))
}

/// Reads the section of a server with these defaults.
fn read(section: &Section<'_>, mut config: server::Config) -> server::Config {
    section.parse("address", &mut config.address);
    let mut most = config.max_connections.unwrap_or_default();
    section.read_limit("maxConnections", &mut most);
    config.max_connections = (most > 0).then_some(most);
    section.read("disableKeepAlives", &mut config.disable_keep_alives);
    section.read_count("maxHeaderBytes", &mut config.max_header_bytes);
    for (key, timeout) in [
        ("idleTimeout", &mut config.idle_timeout),
        ("readHeaderTimeout", &mut config.read_header_timeout),
        ("readTimeout", &mut config.read_timeout),
        ("writeTimeout", &mut config.write_timeout),
        ("writeStallTimeout", &mut config.write_stall_timeout),
    ] {
        let mut duration = timeout.unwrap_or_default();
        section.read_timeout(key, &mut duration);
        *timeout = (!duration.is_zero()).then_some(duration);
    }
    config.rate = read_rate(&section.section("connectionRate"));
    config.proxies = read_proxies(section);
    config.tls = read_tls(section);
    config
}

/// Reads the section of a server that is started only if an address is given; `None` without one.
pub(super) fn read_optional(section: &Section<'_>) -> Option<server::Config> {
    read_if_addressed(section, server::Config::on_port(0))
}

fn read_if_addressed(section: &Section<'_>, defaults: server::Config) -> Option<server::Config> {
    let config = read(section, defaults);
    let mut address = String::new();
    section.read("address", &mut address);
    if section.is_written_without("address") {
        section.warn("address", "is missing, this server is not started; expected host:port");
    }
    (!address.is_empty()).then_some(config)
}

/// Reads the section of the control server, for which the gateway warns if it is reachable without authentication.
pub(super) fn read_control(section: &Section<'_>) -> Option<server::Config> {
    let mut config = read_if_addressed(section, server::Config::for_operators(0))?;
    config.guard = read_guard(section);
    config.open_access = OpenAccess::Changes;
    config.names = Some(read_names(section, config.address.host()));
    Some(config)
}

/// Reads the section of a server whose requests need no authentication unless `authKey` is given. It listens on this
/// port if no address is given; `None` with an empty one (contract §14.28).
pub(super) fn read_guarded(section: &Section<'_>, port: u16) -> Option<server::Config> {
    let mut config = read(section, server::Config::for_operators(port));
    config.guard = read_guard(section);
    (!section.is_empty("address")).then_some(config)
}

/// Finds servers that would listen on the same address.
pub(super) fn check_addresses(root: &Section<'_>, servers: [(&str, Option<&server::Config>); 5]) {
    let addresses: Vec<_> =
        servers.into_iter().filter_map(|(name, config)| Some((name, &config?.address))).collect();
    for (at, (name, address)) in addresses.iter().enumerate() {
        let conflicts = |(_, other): &&(&str, &server::Address)| address.conflicts_with(other);
        if let Some((other, _)) = addresses[..at].iter().find(conflicts) {
            root.section(name).fault("address", format!("is also that of {other}, expected another one"));
        }
    }
}

/// Reads the keys that every request to a server has to have.
fn read_guard(section: &Section<'_>) -> Option<Arc<dyn Guard>> {
    let mut keys = None;
    read_keys(section, &mut keys);
    keys.map(|keys| Arc::new(keys) as Arc<dyn Guard>)
}

/// Reads the names of a server, to which the host of its address belongs.
fn read_names(section: &Section<'_>, host: Option<&str>) -> ServerNames {
    let mut texts = Vec::<String>::new();
    section.read("allowedHosts", &mut texts);
    let mut names = Vec::new();
    for (number, text) in texts.iter().enumerate() {
        match text.parse::<ServerName>() {
            Ok(name) => names.push(name),
            Err(_) => section.fault(
                &format!("allowedHosts[{number}]"),
                format!("is {text:?}, expected a host name without a port"),
            ),
        }
    }
    names.extend(host.and_then(|host| host.parse().ok()));
    ServerNames::new(names)
}

fn read_rate(section: &Section<'_>) -> Option<Rate> {
    let (mut per_second, mut burst) = (0_u32, 0_u32);
    section.read_limit("perAddress", &mut per_second);
    section.read_limit("burst", &mut burst);
    if burst == 0 {
        burst = per_second;
    }
    (per_second > 0).then(|| Rate::per_second(per_second.into(), burst.into()))
}

/// Reads which peers are proxies and what they say about clients.
fn read_proxies(section: &Section<'_>) -> Proxies {
    let mut proxies = Proxies::default();
    section.read("proxyProtocol", &mut proxies.proxy_protocol);
    let mut networks = Vec::<String>::new();
    section.read("trustedProxies", &mut networks);
    for network in &networks {
        match network.parse::<Network>() {
            Ok(network) => proxies.trusted.push(network),
            Err(error) => section.fault("trustedProxies", format!("has {network:?}, {error}")),
        }
    }
    let mut forwarded = None;
    section.read_as("forwardedHeader", "Forwarded or X-Forwarded-For", &mut forwarded, |value| {
        let name = String::read(value)?;
        if name.is_empty() { Some(None) } else { name.parse().ok().map(Some) }
    });
    proxies.forwarded = forwarded;
    if forwarded.is_some() && networks.is_empty() {
        section.fault("forwardedHeader", "requires trustedProxies, the proxies that write it");
    }
    if proxies.proxy_protocol && networks.is_empty() {
        section.warn(
            "trustedProxies",
            "is empty while proxyProtocol is true, so that anyone who reaches this server can claim any address; \
             expected the addresses of the proxies",
        );
    }
    proxies
}

/// Reads the keys of TLS and loads the files once, so that files that cannot be used are faults of the configuration.
fn read_tls(section: &Section<'_>) -> Option<tls::Config> {
    let (mut certificates, mut keys) = (Vec::<String>::new(), Vec::<String>::new());
    section.read(Key::Certificate.as_str(), &mut certificates);
    section.read(Key::PrivateKey.as_str(), &mut keys);
    let mut client_ca = PathBuf::new();
    section.read(Key::ClientCa.as_str(), &mut client_ca);
    let client_ca = (!client_ca.as_os_str().is_empty()).then_some(client_ca);
    let mut client_crls = Vec::<String>::new();
    section.read(Key::ClientCrl.as_str(), &mut client_crls);
    if client_ca.is_none() && !client_crls.is_empty() {
        section.fault(
            Key::ClientCrl.as_str(),
            format!("requires {}: without it clients present no certificates", Key::ClientCa.as_str()),
        );
    }
    let client_crls = client_crls.into_iter().map(PathBuf::from).collect();
    let versions = read_versions(section);
    if certificates.len() != keys.len() {
        let problem = format!(
            "names {} files, expected as many as certificateFile, which names {}",
            keys.len(),
            certificates.len()
        );
        section.fault(Key::PrivateKey.as_str(), problem);
        return None;
    }
    if certificates.is_empty() {
        if client_ca.is_some() {
            section.fault(
                Key::ClientCa.as_str(),
                "requires certificateFile and keyFile: clients present certificates only over TLS",
            );
        }
        return None;
    }
    let pairs = certificates
        .into_iter()
        .zip(keys)
        .map(|(certificate, key)| Pair { certificate: certificate.into(), key: key.into() })
        .collect();
    let config = tls::Config { pairs, client_ca, client_crls, versions: versions? };
    for error in config.check() {
        section.fault(error.key.as_str(), error.to_string());
    }
    Some(config)
}

/// Reads `minVersion` and `maxVersion`: Go's numbers or names; 0 or empty means the default. A minimum older than TLS
/// 1.2 is raised to it with a warning.
fn read_versions(section: &Section<'_>) -> Option<Versions> {
    let (mut min, mut max) = (Some(Version::V12), Some(Version::V13));
    let read = |value: &Value| match String::read(value)?.as_str() {
        "" | "0" => Some(None),
        text => text.parse().ok().map(Some),
    };
    let expected = "771 (TLS 1.2) or 772 (TLS 1.3)";
    let mut oldest = String::new();
    section.read("minVersion", &mut oldest);
    if matches!(oldest.as_str(), "769" | "770") {
        section.warn(
            "minVersion",
            "is older than TLS 1.2, the oldest version that is supported and used instead",
        );
    } else {
        section.read_as("minVersion", expected, &mut min, read);
    }
    section.read_as("maxVersion", expected, &mut max, read);
    let (min, max) = (min.unwrap_or(Version::V12), max.unwrap_or(Version::V13));
    let versions = Versions::between(min, max);
    if versions.is_none() {
        section.fault("minVersion", format!("is {min}, expected a version up to maxVersion, which is {max}"));
    }
    versions
}
