//! Reads `device.outbound.credentials` (contract §5.10).

use std::path::PathBuf;

use super::super::fault::READABLE_TOKENS;
use super::super::read::{Section, Setting as _};
use crate::event::credentials::check_files;
use crate::event::{
    ClientCertificate, CredentialsConfig, OAuth2Config, ReceiverTls, SignatureConfig, SignatureFormat,
    UrlPrefix,
};

/// As many entries are read.
const MAX_ENTRIES: usize = 256;

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
    let mut at = None;
    section.read_as("url", UrlPrefix::EXPECTED, &mut at, |value| {
        UrlPrefix::parse(&String::read(value)?).ok().map(Some)
    });
    if at.is_none() && !section.has_fault("url") {
        section.fault("url", format!("is missing, expected {}", UrlPrefix::EXPECTED));
    }
    let (signature, tls) = (read_signature(&section.section("signature")), read_tls(&section.section("tls")));
    let config =
        CredentialsConfig { at: at?, signature, tls, oauth2: read_oauth2(&section.section("oauth2")) };
    if config.signature.is_none() && config.tls.is_none() && config.oauth2.is_none() {
        section.warn("", "has none of signature, tls and oauth2, so it has no effect");
    }
    if config.tls.is_some() && !config.at.is_whole_origin() {
        section.fault(
            "tls",
            "is for a URL with a path, expected an entry whose url has none: a connection is for all paths",
        );
    }
    if config.tls.is_some() && !config.at.origin().tls {
        section.fault("tls", "is for a URL of http, expected https");
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

fn read_tls(section: &Section<'_>) -> Option<ReceiverTls> {
    if section.is_empty("") {
        return None;
    }
    let mut ca_file = String::new();
    section.read("caFile", &mut ca_file);
    let has_client = !section.is_empty("certificateFile") || !section.is_empty("keyFile");
    let client = has_client.then(|| {
        let certificate_file =
            read_path(section, "certificateFile", "the certificate that belongs to keyFile");
        let key_file = read_path(section, "keyFile", "the private key that belongs to certificateFile");
        Some(ClientCertificate { certificate_file: certificate_file?, key_file: key_file? })
    });
    let ca_file = (!ca_file.is_empty()).then(|| ca_file.into());
    Some(ReceiverTls { ca_file, client: client.flatten() })
}

fn read_oauth2(section: &Section<'_>) -> Option<OAuth2Config> {
    if section.is_empty("") {
        return None;
    }
    let mut token_url = None;
    let expected = "the URL of a token server, such as https://auth.example.com/token";
    section.read_as("tokenURL", expected, &mut token_url, |value| {
        let url = String::read(value)?;
        UrlPrefix::parse(&url).ok().map(|_| Some(url))
    });
    let mut client_id = String::new();
    section.read("clientID", &mut client_id);
    for (key, is_absent, expected) in [
        ("tokenURL", token_url.is_none(), expected),
        ("clientID", client_id.is_empty(), "the id of the client"),
    ] {
        if is_absent && !section.has_fault(key) {
            section.fault(key, format!("is absent: expected {expected}"));
        }
    }
    let mut scopes = Vec::new();
    section.read("scopes", &mut scopes);
    let client_secret_file = read_path(section, "clientSecretFile", "a file with the secret of the client");
    let config =
        OAuth2Config { token_url: token_url?, client_id, client_secret_file: client_secret_file?, scopes };
    if !config.token_url.starts_with("https:") {
        section.warn("tokenURL", READABLE_TOKENS);
    }
    Some(config)
}

fn read_path(section: &Section<'_>, key: &str, expected: &str) -> Option<PathBuf> {
    let mut path = String::new();
    section.read(key, &mut path);
    if path.is_empty() && !section.has_fault(key) {
        section.fault(key, format!("is absent, expected {expected}"));
    }
    (!path.is_empty()).then(|| path.into())
}
