//! The hosts that devices may name (`device.outbound.dns.allowedHosts`): any text as a pattern, and any as a host.
//!
//! The input: the pattern, a line feed, the host, a line feed, the port. The oracle is a second implementation of what a
//! pattern means.

use std::net::{IpAddr, Ipv6Addr};

use talaria_protocol::url::{HostPattern, Origin, Target};

use crate::allocation;
use crate::cost::Cost;

static PARSE: Cost = Cost::measured("pattern", 25);
static MATCH: Cost = Cost::measured("match", 25);

/// One input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (pattern, rest) = text.split_once('\n').unwrap_or((text, ""));
    let (host, port) = rest.split_once('\n').unwrap_or((rest, ""));
    let (parsed, peak) = PARSE.hold(pattern.len(), || allocation::peak(|| pattern.parse::<HostPattern>()));
    assert!(peak <= 2 * pattern.len() + 64, "{peak} bytes for a pattern of {}", pattern.len());
    let Ok(parsed) = parsed else { return };
    let shown = parsed.to_string();
    assert_eq!(shown.parse::<HostPattern>().as_ref(), Ok(&parsed), "{shown} is another pattern");
    let port = port.parse().unwrap_or(443);
    let mut origins = vec![Origin { tls: true, host: host.into(), port }];
    // The host as a URL has it.
    let url = format!("http://{host}:{port}/");
    origins.extend(Target::parse(&url).ok().and_then(|target| Some(target.address().ok()?.origin.clone())));
    for origin in origins {
        let is_match = MATCH.hold(origin.host.len(), || parsed.matches(&origin));
        assert_eq!(is_match, matches(pattern, &origin), "{pattern} and {origin:?}");
        for cased in [pattern.to_ascii_uppercase(), pattern.to_ascii_lowercase()] {
            let cased: HostPattern = cased.parse().expect("the case of a pattern does not matter");
            assert_eq!(cased.matches(&origin), is_match, "the case of {pattern} matters");
        }
        // A longer name is another host, unless the pattern is for all hosts below a domain.
        let longer = Origin { host: format!("x{}", origin.host).into(), ..origin.clone() };
        assert!(
            !is_match || pattern.starts_with("*.") || !parsed.matches(&longer),
            "{pattern} matches {longer:?}"
        );
    }
}

/// Whether a pattern that can be parsed matches.
fn matches(pattern: &str, origin: &Origin) -> bool {
    let host = origin.host.to_ascii_lowercase();
    let host = host.strip_suffix('.').unwrap_or(&host);
    let pattern = pattern.to_ascii_lowercase();
    // All of it can be an address, whose colons are not those of a port.
    if let Ok(address) = pattern.parse::<IpAddr>() {
        return host.parse() == Ok(address);
    }
    let (name, port) = match pattern.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, port.parse::<u16>().ok()),
        _ => (pattern.as_str(), None),
    };
    if port.is_some_and(|port| port != origin.port) {
        return false;
    }
    let bracketed = name.strip_prefix('[').and_then(|name| name.strip_suffix(']'));
    if let Some(address) = bracketed.and_then(|address| address.parse::<Ipv6Addr>().ok()) {
        return host.parse() == Ok(IpAddr::V6(address));
    }
    if let Ok(address) = name.parse::<IpAddr>() {
        return host.parse() == Ok(address);
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    match name.strip_prefix('*') {
        // `.example.com`
        Some(below) => host.len() > below.len() && host.ends_with(below),
        None => host == name,
    }
}
