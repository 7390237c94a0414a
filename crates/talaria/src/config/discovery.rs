//! Reads the sections `service` and `device.rehasher` (contract §11.1).

mod consul;
mod entries;
mod zookeeper;

use talaria_protocol::discovery::{MAX_TOKENS, instance};

use super::read::{Section, Setting as _};
use super::sample;
use crate::discovery::{Backend, Config};

/// As many instances may be written in the configuration.
const MOST_FIXED: usize = 1000;

/// The largest rate of closes.
const MOST_PER_SECOND: u32 = 1_000_000;

/// The keys of the backends in the section `service`, in the order in which the Go Talaria prefers them.
const BACKENDS: [&str; 3] = ["fixed", "zookeeper", "consul"];

/// Reads `service` and what belongs to it; `None` if nothing in it is configured.
pub(super) fn read(root: &Section<'_>) -> Option<Config> {
    let section = root.section("service");
    let sample = sample::tree();
    if !section.differs_from(sample) {
        return None;
    }
    let mut config = Config::new(Backend::Fixed(Vec::new()));
    read_hash(&section, &mut config);
    read_rehasher(&root.section("device.rehasher"), &mut config);
    let wanted: Vec<&str> =
        BACKENDS.into_iter().filter(|key| section.section(key).differs_from(sample)).collect();
    let Some(first) = wanted.first() else {
        section.fault("", "has neither fixed nor consul nor zookeeper, expected one of them: without the section there is no service discovery");
        return None;
    };
    for other in &wanted[1..] {
        section.warn(other, format!("is ignored, because service.{first} is set too"));
    }
    match *first {
        "fixed" => read_fixed(root, &section, &mut config),
        "consul" => {
            let consul = consul::read(&section.section("consul"), &mut config);
            config.backend = consul.map_or(config.backend, |consul| Backend::Consul(Box::new(consul)));
        }
        _ => {
            let zookeeper = zookeeper::read(&section.section("zookeeper"), &mut config);
            config.backend = Backend::ZooKeeper(Box::new(zookeeper));
        }
    }
    Some(config)
}

fn read_hash(section: &Section<'_>, config: &mut Config) {
    let mut scheme = String::new();
    section.read_as("defaultScheme", "a scheme such as https", &mut scheme, |value| {
        String::read(value).filter(|scheme| {
            scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
        })
    });
    if !scheme.is_empty() {
        config.default_scheme = scheme;
    }
    let mut vnodes = 0;
    section.read_as("vnodeCount", "a whole number up to 100000; 0 means the default", &mut vnodes, |value| {
        i64::read(value).filter(|count| *count <= 100_000)
    });
    if let Some(count) = u32::try_from(vnodes).ok().filter(|count| *count > 0) {
        config.vnodes = count;
    }
    let mut is_disabled = false;
    section.read("disableFilter", &mut is_disabled);
    config.refuses_devices = !is_disabled;
    let mut own = String::new();
    let scheme = config.default_scheme.clone();
    section.read_as(
        "instance",
        "the URL of this gateway as others know it, such as https://talaria-1:6200",
        &mut own,
        |value| {
            let text = String::read(value)?;
            if text.is_empty() { Some(text) } else { instance::normalize(&scheme, &text).ok() }
        },
    );
    if !own.is_empty() {
        config.own = vec![own];
    }
}

fn read_rehasher(section: &Section<'_>, config: &mut Config) {
    let mut services = Vec::new();
    section.read("services", &mut services);
    if services.is_empty() {
        section.warn("services", "is empty: no device is moved when the instances change");
    }
    config.services = services;
    section.read_as("rate", "a number of devices from 0 to 1000000", &mut config.rate, |value| {
        u32::read(value).filter(|rate| *rate <= MOST_PER_SECOND)
    });
}

/// Reads `fixed`. This gateway is the instance that `service.instance` names, the only one, or the one with the host that
/// `server` names.
fn read_fixed(root: &Section<'_>, section: &Section<'_>, config: &mut Config) {
    let mut texts = Vec::new();
    section.read("fixed", &mut texts);
    if texts.len() > MOST_FIXED || texts.len().saturating_mul(config.vnodes as usize) > MAX_TOKENS {
        section.fault("fixed", format!("has {} instances with {} tokens each, expected at most {MOST_FIXED} instances and {MAX_TOKENS} tokens", texts.len(), config.vnodes));
        return;
    }
    let mut instances = Vec::new();
    for (at, text) in texts.iter().enumerate() {
        match instance::normalize(&config.default_scheme, text) {
            Ok(instance) => instances.push(instance),
            Err(_) => section.fault(
                &format!("fixed[{at}]"),
                format!("is {text:?}, expected the URL of an instance such as https://talaria-1:6200"),
            ),
        }
    }
    let mut server = String::new();
    root.read("server", &mut server);
    match config.own.first() {
        Some(own) if !instances.is_empty() && !instances.contains(own) => {
            section.fault(
                "instance",
                format!("is {own:?}, which is not in service.fixed: every device would be answered with 410"),
            );
        }
        Some(_) => {}
        None => {
            let own: Vec<&String> = match instances.as_slice() {
                [only] => vec![only],
                several => {
                    several.iter().filter(|url| instance::host(url) == Some(server.as_str())).collect()
                }
            };
            match own.as_slice() {
                [own] => config.own = vec![(*own).clone()],
                _ => section.warn("instance", "is not set, and none of service.fixed has the host that the key server names: every device is accepted, whatever instance it belongs to"),
            }
        }
    }
    config.backend = Backend::Fixed(instances);
}
