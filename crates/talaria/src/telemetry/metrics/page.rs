//! The metrics page: all metrics as text, compressed if the client accepts it (contract §10.2, §14.30).
//!
//! A page may have tens of thousands of series, so it is made on a thread of the runtime's pool, where no device waits for
//! it, and one page at a time: however many clients ask, the gateway spends at most one thread and the memory of one page
//! on making them.

use std::io::Write as _;
use std::sync::Arc;

use flate2::Compression;
use flate2::write::GzEncoder;
use http::HeaderMap;
use http::header::{ACCEPT, ACCEPT_ENCODING, HeaderName};

use super::Metrics;

/// How the page is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEncoding {
    /// As text.
    Identity,
    /// Compressed (RFC 1952).
    Gzip,
}

/// The format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageFormat {
    /// Prometheus' text format.
    Text,
    /// OpenMetrics, which has exemplars.
    OpenMetrics,
}

impl PageEncoding {
    /// What the client of a request accepts: gzip if its `Accept-Encoding` names it, or `*`, with a weight above 0
    /// (RFC 9110 §12.5.3).
    #[must_use]
    pub fn accepted_by(headers: &HeaderMap) -> Self {
        let weight = |coding| weight(headers, &ACCEPT_ENCODING, coding);
        let gzip = weight("gzip").or_else(|| weight("x-gzip")).or_else(|| weight("*")).unwrap_or(0.0);
        if gzip > 0.0 { Self::Gzip } else { Self::Identity }
    }
}

impl PageFormat {
    /// What the client of a request asks for: OpenMetrics if its `Accept` names it, and does not prefer Prometheus' text format.
    #[must_use]
    pub fn accepted_by(headers: &HeaderMap) -> Self {
        let weight = |kind| weight(headers, &ACCEPT, kind).unwrap_or(0.0);
        let open_metrics = weight("application/openmetrics-text");
        if open_metrics > 0.0 && open_metrics >= weight("text/plain") {
            Self::OpenMetrics
        } else {
            Self::Text
        }
    }

    /// The `Content-Type` of the page (contract §10.2).
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8; escaping=underscores",
            Self::OpenMetrics => {
                "application/openmetrics-text; version=1.0.0; charset=utf-8; escaping=underscores"
            }
        }
    }
}

impl Metrics {
    /// The page; `None` while the runtime is shut down. Waits while another page is being made.
    pub async fn page(self: &Arc<Self>, format: PageFormat, encoding: PageEncoding) -> Option<Vec<u8>> {
        let turn = Arc::clone(&self.page_turn).acquire_owned().await.ok()?;
        let metrics = Arc::clone(self);
        let making = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let page = match format {
                PageFormat::Text => metrics.gather_text(),
                PageFormat::OpenMetrics => metrics.gather_open_metrics(),
            };
            match encoding {
                PageEncoding::Identity => page,
                PageEncoding::Gzip => compress(&page),
            }
        });
        making.await.ok()
    }
}

/// The largest weight that the lists of this header give to an element (RFC 9110 §12.4.2); none if they do not name it.
fn weight(headers: &HeaderMap, header: &HeaderName, name: &str) -> Option<f32> {
    let values = headers.get_all(header).iter().filter_map(|value| value.to_str().ok());
    let weights = values.flat_map(|value| value.split(',')).filter_map(|element| {
        let mut parts = element.split(';').map(str::trim);
        let is_named = parts.next()?.eq_ignore_ascii_case(name);
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        is_named.then(|| weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
    });
    weights.reduce(f32::max)
}

/// Compresses at the fastest level, which makes a page of metrics about ten times smaller.
fn compress(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(text.len() / 8), Compression::fast());
    // Writing to a Vec cannot fail.
    let _ = encoder.write_all(text);
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_used_if_it_is_accepted_with_a_weight_above_0() {
        for (accepted, is_gzip) in [
            (&[][..], false),
            (&[""], false),
            (&["identity"], false),
            (&["gzip"], true),
            (&["GZIP"], true),
            (&["x-gzip"], true),
            (&["deflate, gzip;q=1.0, *;q=0.5"], true),
            (&["gzip; q=0.001"], true),
            (&["gzip;q=0"], false),
            (&["gzip;q=0.000, *"], false),
            (&["gzip;q=x"], false),
            (&["*"], true),
            (&["*;q=0"], false),
            (&["gzipped"], false),
            (&["br", "gzip"], true),
        ] {
            let headers: HeaderMap =
                accepted.iter().map(|value| (ACCEPT_ENCODING, value.parse().unwrap())).collect();
            let expected = if is_gzip { PageEncoding::Gzip } else { PageEncoding::Identity };
            assert_eq!(PageEncoding::accepted_by(&headers), expected, "{accepted:?}");
        }
    }

    #[test]
    fn open_metrics_is_for_clients_that_ask_for_it_and_do_not_prefer_text() {
        let prometheus_3 = "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
            application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
            text/plain;version=0.0.4;q=0.3,*/*;q=0.2";
        for (accepted, expected) in [
            (None, PageFormat::Text),
            (Some("*/*"), PageFormat::Text),
            (Some("application/*"), PageFormat::Text),
            (Some("text/plain"), PageFormat::Text),
            (Some("application/openmetrics-text"), PageFormat::OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0, text/plain"), PageFormat::OpenMetrics),
            (Some("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;q=0.5"), PageFormat::Text),
            (Some("application/openmetrics-text;q=0"), PageFormat::Text),
            (Some(prometheus_3), PageFormat::OpenMetrics),
        ] {
            let headers: HeaderMap = accepted.iter().map(|value| (ACCEPT, value.parse().unwrap())).collect();
            assert_eq!(PageFormat::accepted_by(&headers), expected, "{accepted:?}");
        }
    }
}
