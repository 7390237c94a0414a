//! What proxies say about the client of a request: any lines of `Forwarded` and of `X-Forwarded-For`.
//!
//! The input: the lines of the header, separated by line feeds. Whatever the client wrote itself, which is to the left of
//! what a trusted proxy added, must not count. For `X-Forwarded-For` the oracle is a second implementation.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};
use talaria_protocol::forwarded::ForwardedHeader;
use talaria_protocol::network::Network;

use crate::allocation;
use crate::cost::Cost;

/// More lines only slow the fuzzer down.
const MOST_LINES: usize = 100;

static CLIENT: Cost = Cost::measured("client", 40);

/// One input.
pub fn run(data: &[u8]) {
    let lines: Vec<&[u8]> = data.splitn(MOST_LINES, |byte| *byte == b'\n').collect();
    let trusted: Vec<Network> = ["10.0.0.0/8", "127.0.0.1", "fd00::/8"].map(network).into();
    let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let kinds = [
        (ForwardedHeader::Forwarded, "forwarded", "for="),
        (ForwardedHeader::XForwardedFor, "x-forwarded-for", ""),
    ];
    for (header, name, prefix) in kinds {
        let client = |lines: &[&[u8]]| {
            let headers = headers(name, lines);
            let length = headers.values().map(HeaderValue::len).sum();
            let find = || allocation::peak(|| header.client(&headers, is_trusted));
            let (client, peak) = CLIENT.hold(length, find);
            assert_eq!(peak, 0, "nothing is kept");
            client
        };
        let found = client(&lines);
        assert!(found.is_none_or(|address| !is_trusted(address)), "a proxy is taken for a client");
        let with = |first: &[&str], last: &[&str]| {
            let first = first.iter().map(|line| line.as_bytes());
            let last = last.iter().map(|line| line.as_bytes());
            client(&first.chain(lines.iter().copied()).chain(last).collect::<Vec<_>>())
        };
        let [known, proxy] = ["192.0.2.7", "10.1.2.3"].map(|address| format!("{prefix}{address}"));
        let broken = "for=\"192.0.2.8, ;\\";
        if found.is_some() {
            assert_eq!(with(&[&known], &[]), found, "what the client wrote counts");
            assert_eq!(with(&[broken], &[]), found, "what the client broke counts");
            for written in [known.as_bytes(), broken.as_bytes(), b"\xff\\", b"for=\"\\"] {
                let first = [written, b",", lines[0]].concat();
                let lines: Vec<&[u8]> = [&first[..]].into_iter().chain(lines[1..].iter().copied()).collect();
                assert_eq!(client(&lines), found, "what the client wrote into the same line counts");
            }
        }
        assert_eq!(with(&[], &[&proxy]), found, "a proxy is not passed over");
        assert_eq!(with(&[], &[&known]), Some(address("192.0.2.7")), "the last address is not the client's");
        assert_eq!(with(&[], &["unknown"]), None, "an element is passed over");
        if header == ForwardedHeader::XForwardedFor {
            assert_eq!(found, x_forwarded_for(&lines, is_trusted));
        }
    }
}

fn headers(name: &'static str, lines: &[&[u8]]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in lines {
        if let Ok(value) = HeaderValue::from_bytes(line) {
            headers.append(HeaderName::from_static(name), value);
        }
    }
    headers
}

/// The client by `X-Forwarded-For`, found from the left.
fn x_forwarded_for(lines: &[&[u8]], is_trusted: impl Fn(IpAddr) -> bool) -> Option<IpAddr> {
    let lines = lines.iter().filter(|line| HeaderValue::from_bytes(line).is_ok());
    let elements = lines.flat_map(|line| line.split(|byte| *byte == b','));
    let mut client = None;
    for element in elements {
        let is_visible = |byte: &u8| matches!(byte, b'\t' | b' '..=b'~');
        let text =
            std::str::from_utf8(element).ok().filter(|text| text.bytes().all(|byte| is_visible(&byte)));
        let text = text.map(|text| text.trim_matches([' ', '\t']));
        if text == Some("") {
            continue;
        }
        client = match text.and_then(written) {
            Some(address) if is_trusted(address) => client,
            other => other,
        };
    }
    client
}

/// An address as proxies write it.
fn written(text: &str) -> Option<IpAddr> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let bare = bare.filter(|text| text.contains(':')).unwrap_or(text);
    let address = bare.parse::<IpAddr>().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip()));
    address.ok().map(|address| address.to_canonical())
}

fn network(text: &str) -> Network {
    text.parse().expect("a network")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
