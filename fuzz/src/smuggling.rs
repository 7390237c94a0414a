//! The header of a request, as the scan against request smuggling sees it: any bytes, cut anywhere.
//!
//! The input: how the header is cut (one byte), the header. The oracle is `httparse`, which is what hyper reads requests
//! with: whenever it finds both lengths in a header that it accepts, the scan must have found them, too. Then come the
//! checks of `request_checks` and `web_page`.

use http::{HeaderMap, HeaderName, HeaderValue, Version};
use talaria_protocol::request_checks::{self, RequestError};
use talaria_protocol::smuggling::Ambiguity;
use talaria_protocol::web_page::ServerNames;

use crate::allocation;
use crate::cost::Cost;

/// More headers than hyper accepts.
const MOST_HEADERS: usize = 100;

static SCAN: Cost = Cost::measured("scan", 30);
static CHECKS: Cost = Cost::measured("request checks", 30);
static WEB_PAGE: Cost = Cost::measured("web page", 30);

/// One input.
pub fn run(data: &[u8]) {
    let [cut, header @ ..] = data else { return };
    let (is_found, peak) = SCAN.hold(header.len(), || allocation::peak(|| scan(header, usize::MAX)));
    assert_eq!(peak, 0, "the scan keeps nothing");
    assert_eq!(scan(header, 1 + usize::from(*cut)), is_found, "cut into pieces");

    let mut fields = [httparse::EMPTY_HEADER; MOST_HEADERS];
    let mut request = httparse::Request::new(&mut fields);
    let Ok(httparse::Status::Complete(length)) = request.parse(header) else { return };
    let has = |name: &str| request.headers.iter().any(|field| field.name.eq_ignore_ascii_case(name));
    let is_ambiguous = has("content-length") && has("transfer-encoding");
    assert_eq!(scan(&header[..length], usize::MAX), is_ambiguous, "hyper reads it otherwise");
    checks(&request, is_ambiguous);
}

fn scan(header: &[u8], piece: usize) -> bool {
    let mut ambiguity = Ambiguity::default();
    for piece in header.chunks(piece.min(header.len().max(1))) {
        ambiguity.scan(piece);
    }
    ambiguity.is_found()
}

fn checks(request: &httparse::Request<'_, '_>, is_ambiguous: bool) {
    let mut headers = HeaderMap::new();
    for field in request.headers.iter() {
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(field.name.as_bytes()), HeaderValue::from_bytes(field.value))
        {
            headers.append(name, value);
        }
    }
    let version = if request.version == Some(1) { Version::HTTP_11 } else { Version::HTTP_10 };
    let length = headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
    let _ = WEB_PAGE.hold(length, || ServerNames::default().check(&headers));
    match CHECKS.hold(length, || request_checks::check(version, &headers, is_ambiguous)) {
        Ok(()) => assert!(
            !is_ambiguous && (version == Version::HTTP_10 || headers.get_all("host").iter().count() == 1)
        ),
        Err(error) => {
            assert!(error.status().is_client_error() || error == RequestError::Coding);
            assert_eq!(error == RequestError::Ambiguous, is_ambiguous);
        }
    }
}
