//! What the lists of `service.consul` and `service.zookeeper` have in common. The sample does not hold their keys, because they
//! are empty by default.

use super::super::known;
use super::super::read::Section;
use crate::discovery::Config as Discovery;
use crate::discovery::consul::Token;

/// As many entries of a list are read.
const MOST: usize = 64;

/// The items of a list, up to a bound.
pub(super) fn sections<'t>(section: &Section<'t>, key: &str) -> Vec<Section<'t>> {
    let mut items = section.sections(key);
    if !are_few(section, key, items.len()) {
        items.clear();
    }
    items
}

/// Whether a list has no more entries than are read; a fault otherwise.
pub(super) fn are_few(section: &Section<'_>, key: &str, items: usize) -> bool {
    if items > MOST {
        section.fault(key, format!("has {items} items, expected at most {MOST}"));
    }
    items <= MOST
}

/// Whether there is anything to do; a fault otherwise.
pub(super) fn check_complete(section: &Section<'_>) {
    if section.is_empty("registrations") && section.is_empty("watches") {
        section.fault("", "has neither registrations nor watches, expected at least one of them");
    }
}

/// A fault of the address of a registration.
pub(super) fn bad_address(section: &Section<'_>, address: &str) {
    section.fault("address", format!("is {address:?}, expected a host such as talaria-1.example.com"));
}

/// Reads a token, or the name of its file.
pub(super) fn read_token(section: &Section<'_>, key: &str, file_key: &str) -> Option<Token> {
    let (mut token, mut file) = (String::new(), String::new());
    section.read(key, &mut token);
    section.read(file_key, &mut file);
    match (token.is_empty(), file.is_empty()) {
        (true, true) => None,
        (false, true) => Some(Token::Text(token)),
        (false, false) => {
            section.fault(file_key, format!("is set beside {key}, expected one of them"));
            None
        }
        (true, false) => {
            if let Err(error) = std::fs::read_to_string(&file) {
                section.fault(file_key, format!("names {file}, which was not read: {error}"));
            }
            Some(Token::File(file.into()))
        }
    }
}

/// Warns of keys that are not known.
pub(super) fn warn_of_others<'a>(section: &Section<'_>, known: impl IntoIterator<Item = &'a str>) {
    let names: Vec<&str> = known.into_iter().collect();
    for (key, _) in section.entries() {
        if names.iter().any(|name| name.eq_ignore_ascii_case(key)) {
            continue;
        }
        section.warn(key, known::unknown_key(known::closest(key, names.iter().copied())));
    }
}

/// Warns if no device can be refused or moved.
pub(super) fn warn_of_nothing_to_do<'a>(
    section: &Section<'_>,
    discovery: &Discovery,
    mut watched: impl Iterator<Item = &'a str>,
) {
    if !watched.any(|service| discovery.is_fleet(service)) {
        section.warn(
            "watches",
            format!(
                "has none of device.rehasher.services ({}): no device is refused or moved",
                discovery.services.join(", ")
            ),
        );
    } else if discovery.own.is_empty() {
        section.warn("registrations", "does not say which instance this gateway is: no device is refused or moved; expected an address, or service.instance");
    }
}
