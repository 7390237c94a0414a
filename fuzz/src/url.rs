//! Destinations of events: any text as a URL, and as the `Location` of a redirect from it.
//!
//! The input: the URL, a line feed, the location.

use talaria_protocol::url::{Address, Target};

use crate::allocation;
use crate::cost::Cost;

static PARSE: Cost = Cost::measured("parse", 25);
static REDIRECT: Cost = Cost::measured("redirect", 250);
static SHOW: Cost = Cost::measured("show", 25);

/// One input.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (url, location) = text.split_once('\n').unwrap_or((text, ""));
    let (target, peak) = PARSE.hold(url.len(), || allocation::peak(|| Target::parse(url)));
    // The text, its path with every byte escaped, and the header and path made of that, in buffers that grow by doubling.
    assert!(peak <= 16 * url.len() + 4096, "{peak} bytes for a URL of {}", url.len());
    let Ok(target) = target else { return };
    is_consistent(&target);
    // Seen from a base of its own, and from one that is known.
    for base in [&target, &Target::parse("https://user:secret@base.example:8443/a/b?c").expect("a URL")] {
        let length = base.url().len() + location.len();
        let redirected = REDIRECT.hold(length, || base.redirected(location));
        if let Ok(redirected) = redirected {
            is_consistent(&redirected);
        }
    }
}

fn is_consistent(target: &Target) {
    let url = target.url();
    assert_eq!(Target::parse(url).as_ref(), Ok(target), "its own text is another URL");
    let shown = SHOW.hold(url.len(), || target.to_string());
    if let Ok(address) = target.address() {
        can_be_requested(address);
        let authority = shown.split_once("//").map_or("", |(_, rest)| rest);
        let authority = authority.split(['/', '?', '#']).next().unwrap_or_default();
        let user = authority.rsplit_once('@').map(|(user, _)| user);
        assert!(user.is_none_or(|user| user == "***"), "the user of a URL is shown");
        assert_eq!(user.is_some(), address.credentials.is_some());
    }
}

/// Nothing in a request made to it can end a line of the request's header, or be taken for another host.
fn can_be_requested(address: &Address) {
    let Address { origin, host, path, credentials } = address;
    assert!(!origin.host.is_empty());
    assert!(origin.host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte)));
    let host = host.to_str().expect("a host of ASCII");
    // Origins are kept in lower case; the header has the host as it was written.
    let written = host.trim_start_matches('[').to_ascii_lowercase();
    assert!(written.starts_with(&*origin.host));
    let path = path.to_string();
    assert!(path.starts_with('/') && path.bytes().all(|byte| byte.is_ascii_graphic()), "{path:?}");
    if let Some(credentials) = credentials {
        assert!(credentials.is_sensitive());
        assert!(credentials.to_str().expect("ASCII").starts_with("Basic "));
    }
}
