//! The URL of an instance, as the Go Talaria's fleet writes and compares it: `scheme://address`, with the port unless it
//! is the scheme's own.

/// The scheme of an instance that has none and for which none is configured.
pub const DEFAULT_SCHEME: &str = "https";

/// Why a text is not an instance. The texts are the reference's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstanceError {
    /// The text is empty.
    #[error("Blank instances are not allowed")]
    Blank,
    /// It is not `scheme://address:port`; an IPv6 address and a path behind a port are not accepted either.
    #[error("Invalid instance: {0}")]
    Invalid(String),
    /// Its port does not fit into a number.
    #[error("strconv.Atoi: parsing {0:?}: value out of range")]
    Port(String),
}

/// The URL of what listens at this address. An empty scheme means [`DEFAULT_SCHEME`]; port 0 means none.
#[must_use]
pub fn format(scheme: &str, address: &str, port: u64) -> String {
    let scheme = if scheme.is_empty() { DEFAULT_SCHEME } else { scheme };
    let own_port = if scheme.eq_ignore_ascii_case("http") {
        80
    } else if scheme.eq_ignore_ascii_case("https") {
        443
    } else {
        0
    };
    if port == 0 || port == own_port {
        format!("{scheme}://{address}")
    } else {
        format!("{scheme}://{address}:{port}")
    }
}

/// The URL under which an instance is known that is registered with this address and port. An address that has a scheme,
/// as in the Go Talaria's sample, keeps it (contract §11.4).
///
/// # Errors
/// [`InstanceError`] if the fleet would not accept it as an instance.
pub fn registered(scheme: &str, address: &str, port: u16) -> Result<String, InstanceError> {
    normalize(scheme, &format!("{address}:{port}"))
}

/// Brings the URL of an instance into the form in which instances are compared. One without a scheme gets `scheme`.
///
/// # Errors
/// [`InstanceError`].
pub fn normalize(scheme: &str, text: &str) -> Result<String, InstanceError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(InstanceError::Blank);
    }
    let invalid = || InstanceError::Invalid(text.to_owned());
    // The last one, because an address contains no colon.
    let (own_scheme, rest) = match text.rsplit_once("://") {
        Some((scheme, _)) if scheme.is_empty() || scheme.contains('\n') => return Err(invalid()),
        Some(parts) => parts,
        None => (scheme, text),
    };
    let (address, port) = match rest.split_once(':') {
        Some((address, digits)) => (address, Some(digits)),
        None => (rest, None),
    };
    if address.is_empty() {
        return Err(invalid());
    }
    let port = match port {
        None => 0,
        Some(digits) if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            return Err(invalid());
        }
        Some(digits) => digits.parse::<i64>().map_err(|_| InstanceError::Port(digits.to_owned()))?,
    };
    Ok(format(own_scheme, address, port.unsigned_abs()))
}

/// Normalizes a list and sorts it; texts that are no instances are left out.
pub fn normalize_all<'a>(scheme: &str, texts: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut instances: Vec<String> =
        texts.into_iter().filter_map(|text| normalize(scheme, text).ok()).collect();
    instances.sort_unstable();
    instances
}

/// The host of an instance, by which it is hashed; none if it has no scheme or no host.
#[must_use]
pub fn host(instance: &str) -> Option<&str> {
    let (scheme, rest) = instance.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let authority = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    let host = match authority.rsplit_once(':') {
        // Brackets are left out with a port and kept without one, as in the reference.
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => {
            host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
        }
        _ => authority,
    };
    (!scheme.is_empty() && !host.is_empty()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn vectors_instances() {
        let cases = vectors::cases("consistent_hash.json");
        vectors::announce("consistent_hash.json (instances)", &cases);
        for case in cases {
            let value = &case.value;
            let scheme = value["default_scheme"].as_str().unwrap_or_default();
            match value["kind"].as_str() {
                Some("normalize") => {
                    let actual = normalize(scheme, value["input"].as_str().unwrap());
                    let expected = match value["error"].as_str() {
                        Some(error) => Err(error.to_owned()),
                        None => Ok(value["output"].as_str().unwrap().to_owned()),
                    };
                    assert_eq!(actual.map_err(|error| error.to_string()), expected, "{}", case.name);
                }
                Some("filter") => {
                    let texts = |key: &str| {
                        value[key]
                            .as_array()
                            .unwrap()
                            .iter()
                            .map(|text| text.as_str().unwrap())
                            .collect::<Vec<_>>()
                    };
                    assert_eq!(normalize_all(scheme, texts("input")), texts("output"), "{}", case.name);
                }
                _ => {}
            }
        }
    }

    #[test]
    fn an_address_with_a_scheme_keeps_it_when_it_is_registered() {
        let registered = |address| registered("http", address, 6200).unwrap();
        assert_eq!(registered("https://talaria-2"), "https://talaria-2:6200");
        assert_eq!(registered("talaria-2"), "http://talaria-2:6200");
    }
}
