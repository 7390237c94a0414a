//! Reads `service.consul` (contract §11.5). Registrations and their checks have the keys of Consul's own documentation, which
//! are those of the Go Talaria.

mod registration;
mod watch;

use std::time::Duration;

use super::super::client_tls;
use super::super::read::{Section, Setting as _};
use super::entries::{check_complete, read_token, sections, warn_of_nothing_to_do};
use crate::client_tls::TlsConfig;
use crate::discovery::Config as Discovery;
use crate::discovery::consul::{BasicAuth, ClientConfig, Config, Watch};

/// Reads `consul`.
pub(super) fn read(section: &Section<'_>, discovery: &mut Discovery) -> Option<Config> {
    let client = read_client(&section.section("client"));
    let mut keeps_ids = false;
    section.read("disableGenerateID", &mut keeps_ids);
    // It is asked for until it is known.
    let mut retries = 10_u32;
    section.read_count("datacenterRetries", &mut retries);
    let mut datacenter_interval = Duration::ZERO;
    section.read_timeout("datacenterWatchInterval", &mut datacenter_interval);
    let registrations = sections(section, "registrations")
        .iter()
        .filter_map(|section| registration::read(section, discovery, keeps_ids))
        .collect::<Vec<_>>();
    let watches: Vec<Watch> = sections(section, "watches").iter().filter_map(watch::read).collect();
    check_complete(section);
    for (at, registration) in registrations.iter().enumerate() {
        if registrations[..at].iter().any(|other| other.id == registration.id) {
            section.fault(
                &format!("registrations[{at}].id"),
                format!("is {:?}, which another registration has too", registration.id),
            );
        }
    }
    if discovery.own.is_empty() {
        discovery.own =
            registrations.iter().filter_map(|registration| registration.instance.clone()).collect();
    }
    warn_of_nothing_to_do(section, discovery, watches.iter().map(|watch| watch.service.as_str()));
    Some(Config { client: client?, registrations, watches, datacenter_interval })
}

fn read_client(section: &Section<'_>) -> Option<ClientConfig> {
    let mut scheme = String::new();
    section.read_as("scheme", "http or https", &mut scheme, |value| {
        String::read(value).filter(|scheme| matches!(scheme.as_str(), "" | "http" | "https"))
    });
    let mut address = None;
    let expected = "the host and port of a Consul agent, such as 127.0.0.1:8500";
    section.read_as("address", expected, &mut address, |value| {
        let text = String::read(value)?;
        let (given, rest) = match text.split_once("://") {
            Some((given @ ("http" | "https"), rest)) => (Some(given), rest),
            Some(_) => return None,
            None => (None, text.as_str()),
        };
        let rest = if rest.is_empty() { "127.0.0.1:8500" } else { rest.trim_end_matches('/') };
        let is_tls = given.unwrap_or(&scheme) == "https";
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.is_empty() => (host, port.parse::<u16>().ok()?),
            Some(_) => return None,
            None => (rest, if is_tls { 443 } else { 80 }),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_host = !host.contains(['/', '@', '?', '#', ' ']);
        (is_host && port > 0).then(|| Some((is_tls, host.to_owned(), port)))
    });
    let text = |key: &str| {
        let mut text = String::new();
        section.read(key, &mut text);
        text
    };
    let mut wait_time = Duration::ZERO;
    section.read_as(
        "waitTime",
        "a duration of at most 10m; 0s: as long as Consul waits",
        &mut wait_time,
        |value| Duration::read(value).filter(|wait| *wait <= Duration::from_secs(600)),
    );
    let tls = read_tls(&section.section("tlsConfig"));
    let (is_tls, host, port) = address?;
    Some(ClientConfig {
        host,
        port,
        tls: is_tls.then_some(tls),
        path_prefix: text("pathPrefix").trim_end_matches('/').to_owned(),
        datacenter: text("datacenter"),
        namespace: text("namespace"),
        partition: text("partition"),
        token: read_token(section, "token", "tokenFile"),
        basic_auth: read_basic_auth(&section.section("httpAuth")),
        wait_time,
    })
}

fn read_basic_auth(section: &Section<'_>) -> Option<BasicAuth> {
    let (mut username, mut password) = (String::new(), String::new());
    section.read("username", &mut username);
    section.read("password", &mut password);
    (!username.is_empty()).then_some(BasicAuth { username, password })
}

fn read_tls(section: &Section<'_>) -> TlsConfig {
    let mut config = client_tls::read(section, &["caFile", "caPath"], "certFile");
    let mut server_name = String::new();
    section.read("address", &mut server_name);
    let server_name = server_name.split(':').next().unwrap_or_default();
    config.server_name = (!server_name.is_empty()).then(|| server_name.to_owned());
    section.read("insecureSkipVerify", &mut config.accepts_any);
    if config.accepts_any {
        section.warn("insecureSkipVerify", "is true: anyone on the way can pose as Consul");
    }
    config
}
