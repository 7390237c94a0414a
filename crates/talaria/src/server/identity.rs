//! The identity headers: `X-Talaria-*` and `Date`, on every response except the 101 (contract §3.8).

use std::cell::RefCell;

use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// The identity headers, made of `build`, `server`, `region` and `flavor` of the configuration and the start time.
#[derive(Clone, Debug)]
pub struct Identity {
    headers: [(HeaderName, HeaderValue); 5],
}

/// A value that cannot be sent in a header.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` cannot be sent as a header: expected printable text")]
pub struct IdentityError {
    /// The configuration's key.
    pub key: &'static str,
}

impl Identity {
    /// The identity of a gateway that was started at `start`.
    ///
    /// # Errors
    /// If one of the values cannot be sent in a header.
    pub fn new(
        build: &str,
        server: &str,
        region: &str,
        flavor: &str,
        start: Timestamp,
    ) -> Result<Self, IdentityError> {
        let value = |key, text: &str| HeaderValue::from_str(text).map_err(|_| IdentityError { key });
        let start = start.strftime("%d %b %y %H:%M UTC").to_string();
        Ok(Self {
            headers: [
                (HeaderName::from_static("x-talaria-build"), value("build", build)?),
                (HeaderName::from_static("x-talaria-flavor"), value("flavor", flavor)?),
                (HeaderName::from_static("x-talaria-region"), value("region", region)?),
                (HeaderName::from_static("x-talaria-server"), value("server", server)?),
                (HeaderName::from_static("x-talaria-start-time"), value("start", &start)?),
            ],
        })
    }

    /// Puts these headers and the date on a response, unless it is the 101 of an upgrade.
    pub(super) fn sign<B>(&self, response: &mut Response<B>) {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let headers = response.headers_mut();
        headers.extend(self.headers.iter().cloned());
        set_date(headers);
    }
}

/// hyper would put the date on the 101 as well, which has three headers and no others (contract §2.16).
fn set_date(headers: &mut HeaderMap) {
    if let Some(date) = date(Timestamp::now().as_second()) {
        headers.insert(DATE, date);
    }
}

/// The date of this second. Each thread writes it once.
fn date(second: i64) -> Option<HeaderValue> {
    thread_local! {
        static WRITTEN: RefCell<Option<(i64, HeaderValue)>> = const { RefCell::new(None) };
    }
    WRITTEN.with_borrow_mut(|written| {
        if written.as_ref().is_none_or(|(of, _)| *of != second) {
            let date =
                DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::from_second(second).ok()?);
            *written = Some((second, HeaderValue::try_from(date.ok()?).ok()?));
        }
        written.as_ref().map(|(_, date)| date.clone())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let start: Timestamp = "2026-11-23T11:48:59Z".parse().unwrap();
        Identity::new("1.0", "talaria.example", "east", "mint", start).unwrap()
    }

    #[test]
    fn a_response_carries_the_identity_and_the_start_time() {
        let mut response = Response::new(());
        identity().sign(&mut response);
        let header = |name| response.headers()[name].to_str().unwrap();
        assert_eq!(header("x-talaria-build"), "1.0");
        assert_eq!(header("x-talaria-server"), "talaria.example");
        assert_eq!(header("x-talaria-region"), "east");
        assert_eq!(header("x-talaria-flavor"), "mint");
        assert_eq!(header("x-talaria-start-time"), "23 Nov 26 11:48 UTC");
        assert!(header("date").ends_with(" GMT"));
    }

    #[test]
    fn the_date_is_that_of_the_second() {
        for (second, text) in [
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
            (784_111_778, "Sun, 06 Nov 1994 08:49:38 GMT"),
            (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        ] {
            assert_eq!(date(second).unwrap(), text);
        }
        assert_eq!(date(i64::MAX), None);
    }

    #[test]
    fn the_101_stays_bare() {
        let mut response = Response::builder().status(101).body(()).unwrap();
        identity().sign(&mut response);
        assert!(response.headers().is_empty());
    }

    #[test]
    fn the_key_of_an_invalid_value_is_named() {
        let error = Identity::new("1.0", "a\nb", "", "", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(error, IdentityError { key: "server" });
    }
}
