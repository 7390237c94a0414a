//! The head of a request by HTTP/1.1, with the headers of Go's client (contract §5.4).
//!
//! It has two parts. The first one is the same for all events of a URL and is built once, when the configuration is applied. The second
//! one differs from event to event: the headers of a trace and of a signature, and the length. Header names are written as Go
//! writes them, because receivers' logs and filters show them.

use std::borrow::Cow;
use std::sync::Arc;

use ::http::Method;
use ::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue,
    USER_AGENT,
};
use smallvec::SmallVec;
use talaria_protocol::url::{Address, Target};
use wrp::Format;

/// `Content-Length`, its digits and the line ends fit.
const USUAL_REST: usize = 64;

/// The part that differs from event to event.
pub(super) type Rest = SmallVec<[u8; USUAL_REST]>;

/// The first parts of the heads for configured URLs.
#[derive(Default)]
pub(super) struct RequestHeads(Vec<(Arc<Target>, Box<[u8]>)>);

impl RequestHeads {
    /// `authorization` is that of each URL.
    pub(super) fn new<'a>(
        targets: impl Iterator<Item = &'a Arc<Target>>,
        method: &Method,
        authorization: impl Fn(&'a Address) -> Option<&'a HeaderValue>,
    ) -> Self {
        let head = |target: &'a Arc<Target>| {
            let address = target.address().ok()?;
            Some((Arc::clone(target), first(method, address, authorization(address)).into()))
        };
        let mut heads: Vec<_> = targets.filter_map(head).collect();
        heads.sort_unstable_by_key(|(target, _)| Arc::as_ptr(target));
        Self(heads)
    }

    /// The first part of the head for a configured URL. Not a copy of such a target, but the target itself.
    pub(super) fn get(&self, target: &Arc<Target>) -> Option<Cow<'_, [u8]>> {
        let at = self.0.binary_search_by_key(&Arc::as_ptr(target), |(target, _)| Arc::as_ptr(target)).ok()?;
        self.0.get(at).map(|(_, head)| Cow::Borrowed(&**head))
    }
}

/// The part that is the same for all events of a URL.
pub(super) fn first(method: &Method, address: &Address, authorization: Option<&HeaderValue>) -> Vec<u8> {
    let mut head = Vec::with_capacity(256);
    let path = address.path.path_and_query().map_or("/", |path| path.as_str());
    for part in [method.as_str(), " ", path, " HTTP/1.1\r\n"] {
        head.extend_from_slice(part.as_bytes());
    }
    add(&mut head, &HOST, &address.host);
    add(&mut head, &USER_AGENT, &HeaderValue::from_static("Go-http-client/1.1"));
    if let Some(authorization) = authorization {
        add(&mut head, &AUTHORIZATION, authorization);
    }
    add(&mut head, &CONTENT_TYPE, &HeaderValue::from_static(Format::Msgpack.mime()));
    add(&mut head, &ACCEPT_ENCODING, &HeaderValue::from_static("gzip"));
    head
}

/// The part behind it: these headers and the length of the body.
pub(super) fn rest(headers: &HeaderMap, length: usize) -> Rest {
    let mut rest = Rest::new();
    headers.iter().for_each(|(name, value)| add(&mut rest, name, value));
    let mut digits = [b'0'; 20];
    let (mut at, mut left) = (digits.len(), length);
    while at > 0 && (left > 0 || at == digits.len()) {
        at -= 1;
        digits[at] = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
    }
    add_line(&mut rest, &CONTENT_LENGTH, &digits[at..]);
    rest.extend(*b"\r\n");
    rest
}

fn add(head: &mut impl Extend<u8>, name: &HeaderName, value: &HeaderValue) {
    add_line(head, name, value.as_bytes());
}

fn add_line(head: &mut impl Extend<u8>, name: &HeaderName, value: &[u8]) {
    let mut is_first = true;
    head.extend(name.as_str().bytes().map(|byte| {
        let begins = std::mem::replace(&mut is_first, byte == b'-');
        if begins { byte.to_ascii_uppercase() } else { byte }
    }));
    head.extend(*b": ");
    head.extend(value.iter().copied());
    head.extend(*b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8]) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_head_is_written_as_go_writes_header_names() {
        let target = Arc::new(Target::parse("http://user:pass@h:8080/a/b?c=d").unwrap());
        let address = target.address().unwrap();
        let heads =
            RequestHeads::new([&target].into_iter(), &Method::POST, |address| address.credentials.as_ref());
        let expected = "POST /a/b?c=d HTTP/1.1\r\nHost: h:8080\r\nUser-Agent: Go-http-client/1.1\r\n\
             Authorization: Basic dXNlcjpwYXNz\r\nContent-Type: application/msgpack\r\nAccept-Encoding: gzip\r\n";
        assert_eq!(heads.get(&target).as_deref().map(text), Some(expected));
        assert_eq!(text(&first(&Method::POST, address, address.credentials.as_ref())), expected);
        let copy = Arc::new(Target::clone(&target));
        assert!(heads.get(&copy).is_none());
    }

    #[test]
    fn what_differs_from_event_to_event_is_behind_it() {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", HeaderValue::from_static("00-1"));
        headers.insert("webhook-id", HeaderValue::from_static("msg_1"));
        let expected = "Traceparent: 00-1\r\nWebhook-Id: msg_1\r\nContent-Length: 1234567890\r\n\r\n";
        assert_eq!(text(&rest(&headers, 1_234_567_890)), expected);
        for length in [0, 7, 10, usize::MAX] {
            let rest = rest(&HeaderMap::new(), length);
            assert_eq!(text(&rest), format!("Content-Length: {length}\r\n\r\n"));
            assert!(!rest.spilled());
        }
    }
}
