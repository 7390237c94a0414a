//! Reads the sections `zap` (contract §9.9), `metric.metricsOptions` and `touchstone` (contract §10.3).

use super::read::{Section, Setting as _};
use super::tree::Value;
use crate::telemetry::log::{self, Output};
use crate::telemetry::metrics::MetricsConfig;

/// Reads `zap`.
pub(super) fn read(section: &Section<'_>) -> log::Config {
    let mut config = log::Config::default();
    section.parse("level", &mut config.level);
    section.parse("encoding", &mut config.encoding);
    section.read_as(
        "outputPaths",
        "stdout, stderr or paths of files",
        &mut config.outputs,
        |value: &Value| {
            let paths = Vec::<String>::read(value)?;
            Some(paths.iter().map(|path| Output::from(path.as_str())).collect())
        },
    );
    section.read("encoderConfig.timeKey", &mut config.keys.time);
    section.read("encoderConfig.levelKey", &mut config.keys.level);
    section.read("encoderConfig.messageKey", &mut config.keys.message);
    config
}

/// Reads the prefixes of metric names from `metric.metricsOptions` and `touchstone`.
pub(super) fn read_metrics(root: &Section<'_>) -> MetricsConfig {
    let mut config = MetricsConfig::default();
    root.read("metric.metricsOptions.namespace", &mut config.namespace);
    root.read("metric.metricsOptions.subsystem", &mut config.subsystem);
    root.read("touchstone.defaultNamespace", &mut config.bare_namespace);
    root.read("touchstone.defaultSubsystem", &mut config.bare_subsystem);
    config
}
