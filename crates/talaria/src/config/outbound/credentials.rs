//! Reads `device.outbound.credentials` (contract §5.10).

use std::path::PathBuf;

use super::super::fault::UNKNOWN_KEY;
use super::super::read::{Section, Setting as _};
use crate::event::credentials::check_files;
use crate::event::{CredentialsConfig, SignatureConfig, SignatureFormat, UrlPrefix};

/// As many entries are read.
const MAX_ENTRIES: usize = 256;

/// The keys of an entry, and those of its sections. The sample does not hold them, because its list of entries is empty.
const KEYS: [&str; 2] = ["url", "signature"];
const SIGNATURE_KEYS: [&str; 2] = ["keyFile", "format"];

/// Reads all entries.
pub(super) fn read(section: &Section<'_>, key: &str) -> Vec<CredentialsConfig> {
    let entries = section.sections(key);
    if entries.len() > MAX_ENTRIES {
        section.fault(key, format!("has {} entries, expected at most {MAX_ENTRIES}", entries.len()));
        return Vec::new();
    }
    entries.iter().filter_map(read_entry).collect()
}

fn read_entry(section: &Section<'_>) -> Option<CredentialsConfig> {
    warn_of_others(section, &KEYS);
    let mut at = None;
    section.read_as("url", UrlPrefix::EXPECTED, &mut at, |value| {
        UrlPrefix::parse(&String::read(value)?).ok().map(Some)
    });
    if at.is_none() && !section.has_fault("url") {
        section.fault("url", format!("is missing, expected {}", UrlPrefix::EXPECTED));
    }
    let config = CredentialsConfig { at: at?, signature: read_signature(&section.section("signature")) };
    if config.signature.is_none() {
        section.warn("", "has an url, but nothing for it; expected signature");
    }
    for (key, problem) in check_files(&config).err().unwrap_or_default() {
        section.fault(key, problem);
    }
    Some(config)
}

fn read_signature(section: &Section<'_>) -> Option<SignatureConfig> {
    if section.is_empty("") {
        return None;
    }
    warn_of_others(section, &SIGNATURE_KEYS);
    let mut format = SignatureFormat::default();
    section.read_as("format", "standard or webpa", &mut format, |value| {
        match String::read(value)?.as_str() {
            "" | "standard" => Some(SignatureFormat::Standard),
            "webpa" => Some(SignatureFormat::Webpa),
            _ => None,
        }
    });
    let key_file = read_path(section, "keyFile", "a file with a key on each line")?;
    Some(SignatureConfig { key_file, format })
}

fn read_path(section: &Section<'_>, key: &str, expected: &str) -> Option<PathBuf> {
    let mut path = String::new();
    section.read(key, &mut path);
    if path.is_empty() && !section.has_fault(key) {
        section.fault(key, format!("is absent, expected {expected}"));
    }
    (!path.is_empty()).then(|| path.into())
}

fn warn_of_others(section: &Section<'_>, known: &[&str]) {
    for (key, _) in
        section.entries().filter(|(key, _)| !known.iter().any(|name| name.eq_ignore_ascii_case(key)))
    {
        section.warn(key, UNKNOWN_KEY);
    }
}
