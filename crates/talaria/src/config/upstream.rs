//! The keys of the Go gateway and its samples that this one does not have: what becomes of them, and what to write instead.

use super::observe;

/// How a key is handled that the Go gateway reads and this one does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Foreign {
    /// It is ignored with a warning, which says what is missing.
    Ignored(&'static str),
    /// It is ignored without a warning, because nothing is missing without it.
    NoEffect,
}

const NO_PROFILER: Foreign = Foreign::Ignored(
    "is not supported, this server is not started: there is no profiler of Go here; use perf, and the metrics",
);

/// The keys and whole sections of the Go gateway that are not in the sample.
const FOREIGN: &[(&str, Foreign)] = &[
    ("primary.logConnectionState", Foreign::NoEffect),
    ("health.options", Foreign::NoEffect),
    ("health.logInterval", Foreign::NoEffect),
    ("pprof", NO_PROFILER),
    ("device.manager.upgrader", Foreign::NoEffect),
    ("device.manager.upgrader.handshakeTimeout", Foreign::NoEffect),
    ("device.manager.upgrader.readBufferSize", Foreign::NoEffect),
    ("device.manager.upgrader.writeBufferSize", Foreign::NoEffect),
    (
        "device.manager.upgrader.enableCompression",
        Foreign::Ignored("is not supported, messages are not compressed"),
    ),
    ("device.manager.initialCapacity", Foreign::NoEffect),
    // Both are always counted.
    ("kafka.enableBatchMetrics", Foreign::NoEffect),
    ("kafka.enableCompressedBytes", Foreign::NoEffect),
    ("log", Foreign::NoEffect),
    ("zap", Foreign::NoEffect),
    ("zap.development", Foreign::NoEffect),
    ("zap.disableStacktrace", Foreign::NoEffect),
    ("zap.errorOutputPaths", Foreign::NoEffect),
    ("zap.encoderConfig.stacktraceKey", Foreign::NoEffect),
    ("zap.encoderConfig.functionKey", Foreign::NoEffect),
    ("zap.encoderConfig.lineEnding", Foreign::NoEffect),
    ("zap.encoderConfig.durationEncoder", Foreign::NoEffect),
    ("zap.encoderConfig.callerEncoder", Foreign::NoEffect),
    ("zap.encoderConfig.nameEncoder", Foreign::NoEffect),
    ("touchstone", Foreign::NoEffect),
    ("metric.metricsOptions", Foreign::NoEffect),
    ("device.outbound.transport", Foreign::NoEffect),
    // Of the files that the image is configured with: they are only used in that file itself.
    ("stage", Foreign::NoEffect),
    ("domain", Foreign::NoEffect),
    ("env", Foreign::NoEffect),
    ("scheme", Foreign::NoEffect),
];

/// Keys that are in samples and documents of the Go gateway, or of earlier ones, and are read by neither, each with the key that is
/// meant.
const MEANT: &[(&str, &str)] = &[
    ("inbound.requestTimeout", "inbound.timeout"),
    ("device.manager.requestTimeout", "inbound.timeout"),
    ("device.inbound", "inbound"),
    ("authHeader", "inbound.authKey"),
    ("eventMap", "device.outbound.eventEndpoints"),
    ("eventEndpoints", "device.outbound.eventEndpoints"),
    ("device.outbound.eventEndpoint", "device.outbound.eventEndpoints.default"),
    ("device.outbound.timeout", "device.outbound.requestTimeout"),
    ("fqdn", "server"),
    // In the Go gateway's sample; it reads `op`.
    ("deviceAccessCheck.checks[].operation", "deviceAccessCheck.checks[].op"),
    ("jwtValidators", "jwtValidator"),
    ("jwtValidator.keys", "jwtValidator.Config.Resolve.Template"),
    ("kafka.topic", "kafka.initialDynamicConfig.topicMap[0].topic"),
    ("kafka.bootstrapServers", "kafka.brokers"),
    ("kafka.initialDynamicConfig.topic", "kafka.initialDynamicConfig.topicMap[0].topic"),
];

/// How the key of the Go gateway at this path is handled. Of several entries that contain the path, the longest
/// applies.
pub(super) fn foreign(path: &str) -> Option<(&'static str, Foreign)> {
    FOREIGN
        .iter()
        .copied()
        .filter(|(section, _)| is_in(section, path))
        .max_by_key(|(section, _)| section.len())
}

/// The paths of the keys that are ignored.
pub(super) fn keys() -> impl Iterator<Item = &'static str> {
    FOREIGN.iter().map(|(path, _)| *path)
}

/// The key that is meant by this one.
pub(super) fn meant(path: &str) -> Option<String> {
    let plain = observe::without_indices(path);
    let known = MEANT.iter().filter(|(key, _)| is_in(key, &plain));
    let (_, meant) = known.max_by_key(|(key, _)| key.len())?;
    let mut indices = path.split('[').skip(1).filter_map(|rest| rest.split(']').next());
    let mut parts = meant.split("[]");
    let first = parts.next().unwrap_or_default().to_owned();
    Some(parts.fold(first, |path, part| format!("{path}[{}]{part}", indices.next().unwrap_or("0"))))
}

fn is_in(section: &str, path: &str) -> bool {
    path.get(..section.len()).is_some_and(|start| start.eq_ignore_ascii_case(section))
        && matches!(path.as_bytes().get(section.len()), None | Some(b'.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::sample;

    #[test]
    fn every_key_that_is_suggested_exists() {
        for (key, meant) in MEANT {
            let meant = meant.replace("[]", "[0]");
            let path: Vec<&str> = meant.split('.').collect();
            let open = sample::described().at(path[..path.len() - 1].iter().copied());
            assert!(
                sample::described().at(path).is_some() || open.is_some_and(sample::is_open),
                "{key}: {meant}"
            );
        }
    }
}
