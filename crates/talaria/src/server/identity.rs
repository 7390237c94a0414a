//! The headers by which the gateway names itself on every response but the 101 (contract §3.8).

use http::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;

/// What this gateway is, as `build`, `server`, `region` and `flavor` of the configuration say.
#[derive(Clone, Debug)]
pub struct Identity {
    headers: [(HeaderName, HeaderValue); 5],
}

/// A value that no header can hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{key}` cannot be sent as a header: expected printable text")]
pub struct InvalidIdentity {
    /// The configuration's key.
    pub key: &'static str,
}

impl Identity {
    /// An identity that started at `start`.
    ///
    /// # Errors
    /// If one of the texts cannot be a header's value.
    pub fn new(
        build: &str,
        server: &str,
        region: &str,
        flavor: &str,
        start: Timestamp,
    ) -> Result<Self, InvalidIdentity> {
        let value = |key, text: &str| HeaderValue::from_str(text).map_err(|_| InvalidIdentity { key });
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

    /// Puts these headers and the date on a response, unless it is the 101 of a device's upgrade.
    pub(super) fn sign<B>(&self, response: &mut Response<B>) {
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            return;
        }
        let headers = response.headers_mut();
        headers.extend(self.headers.iter().cloned());
        set_date(headers);
    }
}

/// hyper would put the date on the 101 too, which carries three headers only (contract §2.16).
fn set_date(headers: &mut HeaderMap) {
    let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&Timestamp::now());
    if let Ok(date) = date.map_err(drop).and_then(|date| HeaderValue::try_from(date).map_err(drop)) {
        headers.insert(DATE, date);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity() -> Identity {
        let start: Timestamp = "2026-11-23T11:48:59Z".parse().unwrap();
        Identity::new("1.0", "talaria.example", "east", "mint", start).unwrap()
    }

    #[test]
    fn a_response_carries_who_the_gateway_is_and_since_when() {
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
    fn the_101_stays_bare() {
        let mut response = Response::builder().status(101).body(()).unwrap();
        identity().sign(&mut response);
        assert!(response.headers().is_empty());
    }

    #[test]
    fn a_text_that_no_header_holds_is_named() {
        let error = Identity::new("1.0", "a\nb", "", "", Timestamp::UNIX_EPOCH).unwrap_err();
        assert_eq!(error, InvalidIdentity { key: "server" });
    }
}
