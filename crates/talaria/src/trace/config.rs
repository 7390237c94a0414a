//! The settings of traces (`tracing` of the configuration, contract §12.1).

use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use talaria_protocol::trace_context::{ParentRule, Ratio, Sampler};

use crate::client_tls::TlsConfig;

/// The longest file with headers, in bytes.
const MAX_HEADERS_FILE: usize = 64 * 1024;

/// The section `tracing`. `Default` has the contract's defaults: nothing is traced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where spans go.
    pub provider: Provider,
    /// What is recorded.
    pub sampler: Sampler,
    /// How many spans may wait (`maxQueueSize`).
    pub max_queue: usize,
    /// The time limit of one request to the collector (`exportTimeout`).
    pub export_timeout: Duration,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Provider {
    /// Nothing is traced.
    Noop,
    /// To a collector.
    Otlp(Collector),
    /// To standard output, as JSON.
    Stdout,
    /// They are made and passed on, but go nowhere (`skipTraceExport`).
    Discard,
}

/// A collector that takes OTLP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collector {
    /// How it is spoken to.
    pub protocol: Protocol,
    /// Where it is.
    pub endpoint: Endpoint,
    /// How connections are encrypted; `None` for none.
    pub tls: Option<TlsConfig>,
    /// A file with headers of each request, a line `Name: value` each.
    pub headers_file: Option<PathBuf>,
}

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// OTLP over gRPC.
    Grpc,
    /// OTLP over HTTP, with protobuf.
    Http,
}

/// Where a collector is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Whether connections are encrypted.
    pub is_tls: bool,
    /// A name or an address, without brackets.
    pub host: String,
    /// The TCP port.
    pub port: u16,
    /// The path of the requests; empty for that of the protocol.
    pub path: String,
}

/// The text is not an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected host:port or a URL such as https://collector:4318")]
pub struct EndpointError;

impl Default for Config {
    fn default() -> Self {
        Self {
            provider: Provider::Noop,
            sampler: Sampler { parent: ParentRule::Ignore, ratio: Ratio::NONE },
            max_queue: 2048,
            export_timeout: Duration::from_secs(10),
        }
    }
}

impl Config {
    /// Whether anything can be traced.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.provider != Provider::Noop && self.sampler.records()
    }
}

impl Protocol {
    /// The port of a collector, if the endpoint has none.
    #[must_use]
    pub fn default_port(self) -> u16 {
        match self {
            Self::Grpc => 4317,
            Self::Http => 4318,
        }
    }

    /// The path of a request with spans.
    pub(super) fn path(self) -> &'static str {
        match self {
            Self::Grpc => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
            Self::Http => "/v1/traces",
        }
    }
}

impl Endpoint {
    /// The endpoint of a collector on this host that is asked by this protocol.
    #[must_use]
    pub fn local(protocol: Protocol) -> Self {
        Self {
            is_tls: false,
            host: "localhost".to_owned(),
            port: protocol.default_port(),
            path: String::new(),
        }
    }

    /// Its authority.
    pub(super) fn authority(&self) -> String {
        let Self { host, port, .. } = self;
        if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
    }

    /// Reads `host:port` or a URL. Without a port it is that of the protocol; without a scheme, connections are not encrypted, as
    /// in the Go Talaria.
    ///
    /// # Errors
    /// [`EndpointError`]
    pub fn parse(text: &str, protocol: Protocol) -> Result<Self, EndpointError> {
        let (is_tls, rest) = match text.split_once("://") {
            Some(("http" | "grpc", rest)) => (false, rest),
            Some(("https" | "grpcs", rest)) => (true, rest),
            Some(_) => return Err(EndpointError),
            None => (false, text),
        };
        let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let has_port = authority.rsplit_once(':').is_some_and(|(_, port)| !port.ends_with(']'));
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if has_port => (host, u16::from_str(port).map_err(|_| EndpointError)?),
            _ => (authority, protocol.default_port()),
        };
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let is_text =
            |part: &str, not: &[char]| part.chars().all(|c| c.is_ascii_graphic() && !not.contains(&c));
        if host.is_empty()
            || port == 0
            || !is_text(host, &['@', '?', '#', '/', '[', ']'])
            || !is_text(path, &['?', '#'])
        {
            return Err(EndpointError);
        }
        let path = if path == "/" { "" } else { path };
        Ok(Self { is_tls, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Reads a file with a header `Name: value` on each line. Empty lines and those that begin with `#` are left out.
///
/// # Errors
/// It cannot be read, or a line is not a header. The text names the line, not its content.
pub(crate) fn read_headers(path: &Path) -> io::Result<HeaderMap> {
    let text = std::fs::read_to_string(path)?;
    if text.len() > MAX_HEADERS_FILE {
        return Err(io::Error::other(format!("it is longer than {MAX_HEADERS_FILE} bytes")));
    }
    let mut headers = HeaderMap::new();
    for (at, line) in text.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        let header = line.split_once(':').and_then(|(name, value)| {
            let name: HeaderName = name.trim().parse().ok()?;
            let mut value: HeaderValue = value.trim().parse().ok()?;
            value.set_sensitive(true);
            Some((name, value))
        });
        let (name, value) = header.ok_or_else(|| {
            io::Error::other(format!("line {} is not a header, expected Name: value", at + 1))
        })?;
        headers.append(name, value);
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_host_and_port_or_a_url() {
        let parse = |text| {
            Endpoint::parse(text, Protocol::Http)
                .map(|endpoint| (endpoint.is_tls, endpoint.authority(), endpoint.path))
        };
        for (text, is_tls, authority, path) in [
            ("collector:1234", false, "collector:1234", ""),
            ("collector", false, "collector:4318", ""),
            ("http://collector/", false, "collector:4318", ""),
            ("https://collector:443/tenant/v1/traces", true, "collector:443", "/tenant/v1/traces"),
            ("[::1]:1", false, "[::1]:1", ""),
            ("https://[::1]", true, "[::1]:4318", ""),
        ] {
            assert_eq!(parse(text), Ok((is_tls, authority.to_owned(), path.to_owned())), "{text}");
        }
        for wrong in ["", "http://", "ftp://h", "h:0", "h:x", "h:99999", "user@h:1", "h:1/x?y", "h h"] {
            assert_eq!(parse(wrong), Err(EndpointError), "{wrong}");
        }
    }
}
