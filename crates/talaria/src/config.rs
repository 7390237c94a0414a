//! The configuration: a file, the environment over it, the defaults under it.
//!
//! Each layer becomes a [`tree`] of values that know where they were written; the layers are laid over one another
//! and read into the typed, checked structs that the components own. All faults are found in one go, each in a line
//! that names the key, its value (never a secret) and what is expected. The lowest layer is the sample, `talaria.yaml`:
//! what is not in it is no key.

mod access;
mod device;
mod environment;
mod fault;
pub mod file;
mod inbound;
mod jwt;
mod kafka;
mod known;
mod log;
mod outbound;
mod print;
mod read;
mod server;
pub mod tree;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::{cell::RefCell, env, fmt, path::PathBuf, time::Duration};

pub use fault::{Fault, MASK, Report, Warning};
pub use print::print;

use read::Section;
use tree::Node;

/// The sample configuration: every key with its default and what it is for.
pub const SAMPLE: &str = include_str!("../../../talaria.yaml");

/// Everything the gateway is told, checked: nothing downstream looks at a raw text again.
#[derive(Debug, Clone)]
pub struct Config {
    /// What the gateway calls itself.
    pub identity: Identity,
    /// How long a stop may take in all (`shutdownTimeout`).
    pub shutdown_timeout: Duration,
    /// The server of devices and of the API.
    pub primary: crate::server::Config,
    /// The same on a second address, if there is one.
    pub alternate: Option<crate::server::Config>,
    /// The server of `/health`.
    pub health: crate::server::Config,
    /// The server of `/metrics`.
    pub metric: crate::server::Config,
    /// The server of gate, filters and drain; none if it has no address.
    pub control: Option<crate::server::Config>,
    /// How metrics are named.
    pub metrics: crate::telemetry::metrics::MetricsConfig,
    /// The log.
    pub log: crate::telemetry::log::Config,
    /// How devices are treated.
    pub device: crate::device::Config,
    /// Devices' tokens.
    pub device_auth: crate::auth::DeviceConfig,
    /// The API.
    pub api: crate::api::Config,
    /// Events by HTTP.
    pub event: crate::event::Config,
    /// Events by Kafka; none if that is not enabled.
    pub kafka: Option<wrpkafka::Config>,
}

/// `server`, `build`, `region` and `flavor`, sent with every response.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The host.
    pub server: String,
    /// The version.
    pub build: String,
    /// The region.
    pub region: String,
    /// The flavor.
    pub flavor: String,
}

/// Where a configuration is read from. [`Sources::default`] is nothing but the defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The file's base name or path; none reads no file at all.
    pub file: Option<String>,
    /// The directories that a file is searched in, in order.
    pub directories: Vec<PathBuf>,
    /// The environment.
    pub variables: Vec<(String, String)>,
}

/// Variables hold secrets: their names alone are shown.
impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        let Sources { file, directories, .. } = self;
        formatter
            .debug_struct("Sources")
            .field("file", file)
            .field("directories", directories)
            .field("variables", &variables)
            .finish()
    }
}

impl Sources {
    /// The sources of a running gateway: this file, `talaria` if none is given, searched for in the usual places, and
    /// the environment of the process.
    pub fn of_process(file: Option<String>) -> Self {
        let home = env::var_os("HOME").map(PathBuf::from);
        let text = |text: std::ffi::OsString| text.into_string().ok();
        Sources {
            file: Some(file.unwrap_or_else(|| file::DEFAULT_NAME.to_owned())),
            directories: file::search_path(home.as_deref()),
            variables: env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect(),
        }
    }
}

/// A configuration that can be used, and what it was made of.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// The tree it was read from, all layers in one.
    pub tree: Node,
    /// What is odd about it.
    pub warnings: Vec<Warning>,
    /// Where it was read from, and can be read from again.
    pub sources: Sources,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no file, or it cannot be read.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// Values that cannot be used: all of them, one a line.
    #[error("{}", lines(&.0.faults))]
    Faults(Report),
}

/// Reads and checks a configuration.
///
/// # Errors
/// [`LoadError`], with every fault there is.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let mut report = Report::default();
    let sample = sample();
    let mut tree = sample.clone();
    let mut layers = Vec::new();
    if let Some(name) = &sources.file {
        let (text, path) = file::read(&file::find(name, &sources.directories)?)?;
        match yaml::file(&text, &path) {
            Ok(layer) => layers.push(layer),
            Err(error) => {
                let origin = tree::Origin::File { path, line: error.line.unwrap_or(1) };
                report.fault("", error.to_string(), Some(&origin));
            }
        }
    }
    layers.push(environment::layer(&sources.variables, &sample, &mut report));
    for mut layer in layers {
        known::rename_aliases(&mut layer, &mut report);
        known::check(&layer, &sample, &mut report);
        tree.overlay(layer);
    }

    let report = RefCell::new(report);
    let config = Config::read(&Section::root(&tree, &report));
    let report = report.into_inner();
    if report.faults.is_empty() {
        Ok(Loaded { config, tree, warnings: report.warnings, sources: sources.clone() })
    } else {
        Err(LoadError::Faults(report))
    }
}

impl Config {
    fn read(root: &Section<'_>) -> Self {
        let mut identity = Identity::default();
        root.read("server", &mut identity.server);
        root.read("build", &mut identity.build);
        root.read("region", &mut identity.region);
        root.read("flavor", &mut identity.flavor);
        let mut shutdown_timeout = Duration::ZERO;
        root.read("shutdownTimeout", &mut shutdown_timeout);
        let mut config = Config {
            identity,
            shutdown_timeout,
            primary: server::read(&root.section("primary"), 8080),
            alternate: server::read_optional(&root.section("alternate")),
            health: server::read_guarded(&root.section("health"), 8081),
            metric: server::read_guarded(&root.section("metric"), 8082),
            control: server::read_control(&root.section("control")),
            metrics: log::read_metrics(root),
            log: log::read(&root.section("zap")),
            device: device::read(&root.section("device.manager")),
            device_auth: jwt::read_devices(root),
            api: inbound::read(root),
            event: outbound::read(&root.section("device.outbound")),
            kafka: kafka::read(&root.section("kafka")),
        };
        config.device.convey_keys = config.kafka.as_ref().map(kafka::convey_keys).unwrap_or_default();
        config
    }
}

/// The defaults. A sample that is no YAML does not pass the tests.
fn sample() -> Node {
    yaml::defaults(SAMPLE)
        .unwrap_or(Node { value: tree::Value::Map(Vec::new()), origin: tree::Origin::Default { line: 1 } })
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
