//! Reads the sections `zap` (contract §9.9), `metric.metricsOptions` and `touchstone` (contract §10.3).

use std::time::Duration;

use tracing::level_filters::LevelFilter;

use super::read::{Section, Setting as _};
use super::tree::Value;
use crate::telemetry::log::{self, Keys, Level, Output, Rotation, Sampling};
use crate::telemetry::metrics::MetricsConfig;

/// The size at which a file is rotated if only other keys of `rotation` are set, in megabytes: that of the Go gateway's library.
const ROTATED_AT: u64 = 100;

/// As many levels of targets, and fields of every line, are read.
const MOST: usize = 64;

/// Reads `zap`.
pub(super) fn read(section: &Section<'_>) -> log::Config {
    let mut config = log::Config::default();
    section.parse("level", &mut config.level);
    section.parse("encoding", &mut config.form.encoding);
    section.read_as(
        "outputPaths",
        "stdout, stderr or paths of files",
        &mut config.outputs,
        |value: &Value| {
            let paths = Vec::<String>::read(value)?;
            Some(paths.iter().map(|path| Output::from(path.as_str())).collect())
        },
    );
    for output in &config.outputs {
        if let Err(error) = output.check() {
            section.fault("outputPaths", format!("names {output}, which cannot be written to: {error}"));
        }
    }
    config.targets = read_targets(&section.section("levels"));
    read_encoder(section, &mut config.form);
    config.form.fields = read_fields(&section.section("initialFields"));
    config.sampling = read_sampling(&section.section("sampling"));
    config.rotation = read_rotation(&section.section("rotation"));
    config
}

/// Reads `encoderConfig` and `disableCaller`.
fn read_encoder(zap: &Section<'_>, form: &mut log::Form) {
    let section = zap.section("encoderConfig");
    let (mut leaves_out, mut no_caller) = (false, false);
    section.read("disableDefaultKeys", &mut leaves_out);
    zap.read("disableCaller", &mut no_caller);
    let defaults = Keys::default();
    for (key, name, default) in [
        ("timeKey", &mut form.keys.time, defaults.time),
        ("levelKey", &mut form.keys.level, defaults.level),
        ("messageKey", &mut form.keys.message, defaults.message),
        ("nameKey", &mut form.keys.name, String::new()),
        ("callerKey", &mut form.keys.caller, String::new()),
    ] {
        let mut written = String::new();
        section.read(key, &mut written);
        // As in the Go gateway: without a name of its own a key has its default, or is left out.
        let is_default = written.is_empty() || !section.is_written(key);
        *name = match (is_default, leaves_out) {
            (false, _) => written,
            (true, true) => String::new(),
            (true, false) => default,
        };
    }
    if no_caller {
        form.keys.caller.clear();
    }
    section.parse("levelEncoder", &mut form.levels);
    section.parse("timeEncoder", &mut form.time);
    section.read("consoleSeparator", &mut form.separator);
    if form.separator.is_empty() {
        form.separator = log::Form::default().separator;
    }
}

/// Reads `levels`: the least important levels of parts of the gateway.
fn read_targets(section: &Section<'_>) -> Vec<(String, LevelFilter)> {
    let mut targets = Vec::new();
    for (target, value) in few(section) {
        let mut level = None;
        value.read_as("", "debug, info, warn, error or off", &mut level, |value| {
            match String::read(value)?.to_ascii_lowercase().as_str() {
                "" => None,
                "off" => Some(Some(LevelFilter::OFF)),
                text => text.parse::<Level>().ok().map(|level| Some(level.into())),
            }
        });
        targets.extend(level.map(|level| (target.to_owned(), level)));
    }
    targets
}

/// Reads `initialFields`, which every line has.
fn read_fields(section: &Section<'_>) -> String {
    let mut fields = String::new();
    for (name, value) in few(section) {
        let mut text = String::new();
        value.read("", &mut text);
        fields.push_str(&log::field(name, &text));
    }
    fields
}

/// Reads `sampling`; `None` if it is off.
fn read_sampling(section: &Section<'_>) -> Option<Sampling> {
    let mut sampling = Sampling { initial: 0, thereafter: 0, tick: Duration::from_secs(1) };
    section.read("initial", &mut sampling.initial);
    section.read("thereafter", &mut sampling.thereafter);
    section.read_as("tick", "a duration of at least 1ms", &mut sampling.tick, |value| {
        Duration::read(value).filter(|tick| *tick >= Duration::from_millis(1))
    });
    (sampling.initial > 0 || sampling.thereafter > 0).then_some(sampling)
}

/// Reads `rotation`; `None` if nothing in it is set.
fn read_rotation(section: &Section<'_>) -> Option<Rotation> {
    let (mut megabytes, mut days, mut backups) = (0_u64, 0_u32, 0_usize);
    section.read_as("maxSize", "a number of megabytes up to 1000000", &mut megabytes, |value| {
        u64::read(value).filter(|megabytes| *megabytes <= 1_000_000)
    });
    section.read_as("maxAge", "a number of days up to 10000", &mut days, |value| {
        u32::read(value).filter(|days| *days <= 10_000)
    });
    section.read("maxBackups", &mut backups);
    let (mut local_time, mut compress) = (false, false);
    section.read("localTime", &mut local_time);
    section.read("compress", &mut compress);
    if megabytes == 0 && (days > 0 || backups > 0 || local_time || compress) {
        megabytes = ROTATED_AT;
    }
    (megabytes > 0).then(|| Rotation {
        max_bytes: megabytes * 1024 * 1024,
        max_days: (days > 0).then_some(days),
        max_backups: (backups > 0).then_some(backups),
        local_time,
        compress,
    })
}

/// The entries of a section whose keys the user chooses, up to a bound.
fn few<'t>(section: &Section<'t>) -> Vec<(&'t str, Section<'t>)> {
    let entries: Vec<_> = section.entries().collect();
    if entries.len() > MOST {
        section.fault("", format!("has {} entries, expected at most {MOST}", entries.len()));
        return Vec::new();
    }
    entries
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
