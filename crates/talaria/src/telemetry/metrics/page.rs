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
use http::header::ACCEPT_ENCODING;

use super::Metrics;

/// How the page is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageEncoding {
    /// As text.
    Identity,
    /// Compressed (RFC 1952).
    Gzip,
}

impl PageEncoding {
    /// What the client of a request accepts: gzip if its `Accept-Encoding` names it, or `*`, with a weight above 0
    /// (RFC 9110 §12.5.3).
    #[must_use]
    pub fn accepted_by(headers: &HeaderMap) -> Self {
        let elements = || {
            let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
            values.flat_map(|value| value.split(','))
        };
        let weight = |coding: &str| {
            elements().find_map(|element| {
                let mut parts = element.split(';').map(str::trim);
                let is_named = parts.next()?.eq_ignore_ascii_case(coding);
                let weight =
                    parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
                is_named.then(|| weight.map_or(1.0, |weight| weight.parse().unwrap_or(0.0)))
            })
        };
        let gzip: f32 = weight("gzip").or_else(|| weight("x-gzip")).or_else(|| weight("*")).unwrap_or(0.0);
        if gzip > 0.0 { Self::Gzip } else { Self::Identity }
    }
}

impl Metrics {
    /// The page; `None` while the runtime is shut down. Waits while another page is being made.
    pub async fn page(self: &Arc<Self>, encoding: PageEncoding) -> Option<Vec<u8>> {
        let turn = Arc::clone(&self.page_turn).acquire_owned().await.ok()?;
        let metrics = Arc::clone(self);
        let making = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            match encoding {
                PageEncoding::Identity => metrics.gather_text(),
                PageEncoding::Gzip => compress(&metrics.gather_text()),
            }
        });
        making.await.ok()
    }
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
}
