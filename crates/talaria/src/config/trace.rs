//! Reads the section `tracing` (contract §12.1).

use std::path::PathBuf;

use talaria_protocol::trace_context::{ParentRule, Ratio, Sampler};

use super::client_tls;
use super::read::{Section, Setting as _};
use crate::trace::config::{Endpoint, read_headers};
use crate::trace::{Collector, Config, Protocol, Provider};

/// The description of `provider`.
const PROVIDER: &str = "noop, otlp/grpc, otlp/http or stdout";

/// The path to which the Go Talaria sends spans in Jaeger's own format.
const JAEGER_PATH: &str = "/api/traces";

/// The names of providers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Name {
    Noop,
    Otlp(Protocol),
    Stdout,
    Jaeger,
    Zipkin,
}

/// Reads `tracing`.
pub(super) fn read(section: &Section<'_>) -> Config {
    let mut config = Config::default();
    let mut name = Name::Noop;
    section.read_as("provider", PROVIDER, &mut name, |value| {
        Some(match String::read(value)?.to_ascii_lowercase().as_str() {
            "" | "noop" => Name::Noop,
            "otlp/grpc" => Name::Otlp(Protocol::Grpc),
            "otlp/http" => Name::Otlp(Protocol::Http),
            "stdout" => Name::Stdout,
            "jaeger" => Name::Jaeger,
            "zipkin" => Name::Zipkin,
            _ => return None,
        })
    });
    let mut skips_export = false;
    section.read("skipTraceExport", &mut skips_export);
    section.read_count("maxQueueSize", &mut config.max_queue);
    section.read_period("exportTimeout", &mut config.export_timeout);
    // Read in any case, so that their faults show.
    let collector = read_collector(section, name);
    config.provider = match name {
        Name::Noop => Provider::Noop,
        Name::Stdout if skips_export => Provider::Discard,
        Name::Stdout => Provider::Stdout,
        Name::Otlp(_) | Name::Jaeger => collector.map_or(Provider::Noop, Provider::Otlp),
        Name::Zipkin => {
            section.warn(
                "provider",
                "is zipkin, whose format is not supported, so nothing is traced; expected otlp/http or otlp/grpc with an OpenTelemetry Collector, which sends spans on to Zipkin",
            );
            Provider::Noop
        }
    };
    config.sampler = read_sampler(section);
    if config.provider != Provider::Noop && !config.sampler.records() {
        section.warn(
            "parentBased",
            "is ignore and there is no sampleRatio, so nothing is traced, as in the Go Talaria; expected honor, or a sampleRatio",
        );
    }
    config
}

fn read_sampler(section: &Section<'_>) -> Sampler {
    let mut parent = ParentRule::Ignore;
    section.read_as("parentBased", "ignore or honor", &mut parent, |value| {
        match String::read(value)?.to_ascii_lowercase().as_str() {
            "" | "ignore" => Some(ParentRule::Ignore),
            "honor" => Some(ParentRule::Honor),
            _ => None,
        }
    });
    let mut begins = false;
    section.read_as("noParent", "never or always", &mut begins, |value| {
        match String::read(value)?.to_ascii_lowercase().as_str() {
            "" | "never" => Some(false),
            "always" => Some(true),
            _ => None,
        }
    });
    let mut ratio = None;
    section.read_as("sampleRatio", "a number from 0 to 1, such as 0.01", &mut ratio, |value| {
        match String::read(value)?.as_str() {
            "" => Some(None),
            text => text.parse().ok().map(Some),
        }
    });
    let ratio = match parent {
        ParentRule::Ignore => ratio.unwrap_or(Ratio::NONE),
        ParentRule::Honor if begins => ratio.unwrap_or(Ratio::ALL),
        ParentRule::Honor => Ratio::NONE,
    };
    Sampler { parent, ratio }
}

fn read_collector(section: &Section<'_>, name: Name) -> Option<Collector> {
    let protocol = match name {
        Name::Otlp(protocol) => protocol,
        Name::Noop | Name::Stdout | Name::Jaeger => Protocol::Http,
        Name::Zipkin => return None,
    };
    let mut endpoint = Some(Endpoint::local(protocol));
    let expected = "host:port or a URL such as https://collector:4318";
    section.read_as("endpoint", expected, &mut endpoint, |value| match String::read(value)?.as_str() {
        "" => Some(Some(Endpoint::local(protocol))),
        text => Endpoint::parse(text, protocol).ok().map(Some),
    });
    let mut endpoint = endpoint?;
    if name == Name::Jaeger {
        if endpoint.path == JAEGER_PATH {
            endpoint.path.clear();
            endpoint.port = protocol.default_port();
        }
        section.warn(
            "provider",
            format!(
                "is jaeger: spans go to {}:{} by OTLP, which Jaeger takes since 1.35; expected otlp/http",
                endpoint.host, endpoint.port
            ),
        );
    }
    let tls = client_tls::read(&section.section("tls"), &["caFile"], "certificateFile");
    let headers_file = path(section, "headersFile");
    if let Some(path) = &headers_file
        && let Err(error) = read_headers(path)
    {
        section.fault("headersFile", format!("{} cannot be used: {error}", path.display()));
    }
    let tls = endpoint.is_tls.then_some(tls);
    Some(Collector { protocol, endpoint, tls, headers_file })
}

fn path(section: &Section<'_>, key: &str) -> Option<PathBuf> {
    let mut path = String::new();
    section.read(key, &mut path);
    (!path.is_empty()).then(|| path.into())
}
