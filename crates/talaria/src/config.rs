//! Reads the configuration (contract §9.1 to §9.5): the defaults, a file over them, the environment over both.
//!
//! Each layer becomes a [`tree`] of values that know where they were written. The layers are merged, and the result is
//! read into the typed, checked structs that the components own. All faults are reported at once, one line each, with
//! the key, its value (never a secret) and what is expected. The lowest layer is the sample, `defaults.yaml`: it holds
//! every key, so a key that is not in it is unknown.
//!
//! The meaning and the bounds of a value are the component's matter; this module only reads it. Start reading at
//! [`load`]; a section is read in the module of its name.

mod access;
mod client_tls;
mod describe;
mod device;
mod discovery;
pub mod document;
mod environment;
mod fault;
pub mod file;
mod inbound;
mod jwt;
mod kafka;
mod known;
mod log;
mod observe;
mod outbound;
mod print;
mod read;
pub mod reference;
mod sample;
pub mod schema;
mod secret;
mod server;
mod trace;
pub mod tree;
mod upstream;
mod value_file;
pub mod yaml;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use std::{env, fmt};

pub use fault::{Fault, Report, Warning};
pub use print::{print, shown_at};
pub use sample::SAMPLE;
pub use secret::MASK;

use environment::Environment;
use read::{Section, Setting as _};
use talaria_protocol::ws::handshake::Subprotocol;
use tree::{Node, Value};

use crate::budget::{Budget, Store};
use crate::cpu_scheduling::CpuScheduling;
use crate::server::OpenAccess;

/// The default of `shutdownTimeout`: less than the 30 s after which Kubernetes kills a process.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(25);

/// The default of `health.readyWithin`.
const READY_WITHIN: Duration = Duration::from_secs(30);

/// The key that names the file in which changes by the control server are kept.
pub const PERSIST: &str = "config.persist";

/// The configuration of a gateway, parsed and checked: no component reads a raw text.
#[derive(Debug, Clone)]
pub struct Config {
    /// The identity headers of every response.
    pub identity: Identity,
    /// The time limit of a whole stop (`shutdownTimeout`).
    pub shutdown_timeout: Duration,
    /// How the threads of the process are scheduled (`cpuScheduling`).
    pub cpu_scheduling: CpuScheduling,
    /// The server for devices and for the API.
    pub primary: crate::server::Config,
    /// A second server for devices and the API; `None` without an address.
    pub alternate: Option<crate::server::Config>,
    /// The server of `/health`; `None` with an empty address.
    pub health: Option<crate::server::Config>,
    /// The server of `/metrics`; `None` with an empty address.
    pub metric: Option<crate::server::Config>,
    /// The server of gate, filters and drains; `None` without an address.
    pub control: Option<crate::server::Config>,
    /// The prefixes of metric names.
    pub metrics: crate::telemetry::metrics::MetricsConfig,
    /// The log's level, outputs and form.
    pub log: crate::telemetry::log::Config,
    /// Limits, timeouts and checks of device connections.
    pub device: crate::device::Config,
    /// How tokens of devices are checked.
    pub device_auth: crate::auth::DeviceConfig,
    /// Authentication, limits and access check of the API.
    pub api: crate::api::Config,
    /// Delivery of events by HTTP.
    pub event: crate::event::Config,
    /// Service discovery; `None` if it is not configured.
    pub discovery: Option<crate::discovery::Config>,
    /// Delivery of events to Kafka; `None` if it is not enabled.
    pub kafka: Option<wrpkafka::Config>,
    /// Traces of messages and requests.
    pub trace: crate::trace::Config,
    /// The convey keys whose values are kept of each device besides those that events carry, because a filter of a Kafka
    /// route asks for them (`convey/<name>`). Each device is searched for all of them when it connects.
    pub convey_keys: Vec<String>,
    /// The WebSocket subprotocols that devices may agree on, in order of preference.
    pub subprotocols: Vec<Subprotocol>,
    /// The pace of the handshakes of devices.
    pub handshakes: crate::server::HandshakesConfig,
    /// How the configuration itself changes.
    pub reload: ReloadConfig,
    /// How long `/ready` waits after the start for Kafka and for service discovery (`health.readyWithin`).
    pub ready_within: Duration,
}

/// How the configuration changes while the gateway runs (`config`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReloadConfig {
    /// Whether a changed file is read again by itself (`watch`).
    pub watch: bool,
    /// Where changes by the control server are kept (`persist`); nowhere if none.
    pub persist: Option<PathBuf>,
}

/// The values of the headers `X-Talaria-*` (contract §3.8).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// `X-Talaria-Server`: the host of the gateway.
    pub server: String,
    /// `X-Talaria-Build`: the version of the gateway.
    pub build: String,
    /// `X-Talaria-Region`.
    pub region: String,
    /// `X-Talaria-Flavor`: the kind of the deployment, such as `production`.
    pub flavor: String,
}

/// Where a configuration is read from. [`Sources::default`] yields only the defaults.
#[derive(Clone, Default)]
pub struct Sources {
    /// The base name or path of the file; `None` reads no file.
    pub file: Option<String>,
    /// The directories in which the file is searched, in order.
    pub directories: Vec<PathBuf>,
    /// The environment variables, with names and values.
    pub variables: Vec<(String, String)>,
    /// A document in place of the file, as an operator sends it to the control server.
    pub document: Option<Arc<Node>>,
    /// Whether the file of `config.persist` is read in place of the configuration file, if it exists.
    pub persisted: bool,
}

/// Shows only the names of variables, since their values may be secrets.
impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&str> = self.variables.iter().map(|(name, _)| name.as_str()).collect();
        let Self { file, directories, document, persisted, .. } = self;
        formatter
            .debug_struct("Sources")
            .field("file", file)
            .field("directories", directories)
            .field("variables", &variables)
            .field("has_document", &document.is_some())
            .field("persisted", persisted)
            .finish()
    }
}

impl Sources {
    /// The sources of a process: the file of this name (default `talaria`) from the search path, and the environment.
    #[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
    pub fn of_process(file: Option<String>) -> Self {
        let home = env::var_os("HOME").map(PathBuf::from);
        let text = |text: std::ffi::OsString| text.into_string().ok();
        Self {
            file: Some(file.unwrap_or_else(|| file::DEFAULT_NAME.to_owned())),
            directories: file::search_path(home.as_deref()),
            variables: env::vars_os().filter_map(|(name, value)| Some((text(name)?, text(value)?))).collect(),
            document: None,
            persisted: true,
        }
    }
}

/// A configuration without faults.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The typed configuration.
    pub config: Config,
    /// The merged layers that `config` was read from.
    pub tree: Node,
    /// The layer between the defaults and the environment: the file, or what took its place.
    pub document: Option<Node>,
    /// The file of `config.persist`, if it was read in place of the configuration file.
    pub persisted: Option<PathBuf>,
    /// What was read but is probably not meant.
    pub warnings: Vec<Warning>,
    /// Where it was read from; used to read it again.
    pub sources: Sources,
}

impl Loaded {
    /// Logs all warnings.
    pub fn log_warnings(&self) {
        log_warnings(&self.warnings);
    }
}

/// Logs warnings about a configuration.
pub fn log_warnings(warnings: &[Warning]) {
    for warning in warnings {
        tracing::warn!(%warning, "configuration warning");
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file was not found or cannot be read.
    #[error(transparent)]
    File(#[from] file::FileError),
    /// The configuration has faults; the message has one line for each.
    #[error("{}", lines(&.0.faults))]
    Faults(Report),
}

/// Reads and checks a configuration.
///
/// # Errors
/// [`LoadError`], with all faults.
pub fn load(sources: &Sources) -> Result<Loaded, LoadError> {
    let mut report = Report::default();
    let known = sample::described();
    let environment = Environment::read(&sources.variables, known, &mut report);
    let (document, persisted) = match &sources.document {
        Some(document) => (section(Node::clone(document), &mut report), None),
        None => from_files(sources, &environment, &mut report)?,
    };
    let mut tree = sample::tree().clone();
    if let Some(mut layer) = document.clone() {
        value_file::resolve(&mut layer, known, &mut report);
        lay_over(&mut tree, layer, &mut report);
    }
    let layer = environment.over(&tree, &mut report);
    lay_over(&mut tree, layer, &mut report);
    let (config, report) = read(&tree, report);
    if report.faults.is_empty() {
        let (warnings, sources) = (report.warnings, sources.clone());
        Ok(Loaded { config, tree, document, persisted, warnings, sources })
    } else {
        Err(LoadError::Faults(report))
    }
}

/// Lays a layer over the others.
fn lay_over(tree: &mut Node, mut layer: Node, report: &mut Report) {
    known::rename_aliases(&mut layer, report);
    known::check(&layer, sample::described(), report);
    secret::remove_masks(&mut layer, report);
    sample::drop_counterparts(tree, &layer);
    tree.overlay(layer);
}

/// Reads a merged tree into the typed configuration.
///
/// # Errors
/// [`LoadError::Faults`].
pub fn typed(tree: &Node) -> Result<Config, LoadError> {
    let (config, report) = read(tree, Report::default());
    if report.faults.is_empty() { Ok(config) } else { Err(LoadError::Faults(report)) }
}

fn read(tree: &Node, report: Report) -> (Config, Report) {
    let report = RefCell::new(report);
    let config = Config::read(&Section::root(tree, &report));
    (config, report.into_inner())
}

/// The document of the file or, if there is one, the document that was kept of what an operator has sent to the control server
/// (`config.persist`), and the path of that.
fn from_files(
    sources: &Sources,
    environment: &Environment,
    report: &mut Report,
) -> Result<(Option<Node>, Option<PathBuf>), LoadError> {
    let document = match &sources.file {
        Some(name) => read_file(&file::find(name, &sources.directories)?, report)?,
        None => None,
    };
    let named = |node: &Node| match &node.value {
        Value::Text(path) if !path.is_empty() => Some(PathBuf::from(path)),
        _ => None,
    };
    let written = || document.as_ref()?.at(PERSIST.split('.')).and_then(named);
    let persist = environment.at(PERSIST).and_then(named).or_else(written);
    match persist.filter(|path| sources.persisted && path.exists()) {
        Some(path) => Ok((read_file(&path, report)?, Some(path))),
        None => Ok((document, None)),
    }
}

/// A whole document, which has to be a section. Its content is not shown: it may be a secret's file that was named by mistake.
fn section(document: Node, report: &mut Report) -> Option<Node> {
    if matches!(document.value, Value::Map(_)) {
        return Some(document);
    }
    report.fault("", "is a list or a text, expected keys with values", Some(&document.origin));
    None
}

fn read_file(path: &Path, report: &mut Report) -> Result<Option<Node>, LoadError> {
    let (text, path) = file::read(path)?;
    match yaml::file(&text, &path) {
        Ok(layer) => Ok(section(layer, report)),
        Err(error) => {
            let origin = tree::Origin::File { path, line: error.line.unwrap_or(1) };
            report.fault("", error.to_string(), Some(&origin));
            Ok(None)
        }
    }
}

impl Config {
    fn read(root: &Section<'_>) -> Self {
        let mut identity = Identity::default();
        root.read("server", &mut identity.server);
        root.read("build", &mut identity.build);
        root.read("region", &mut identity.region);
        root.read("flavor", &mut identity.flavor);
        let mut shutdown_timeout = SHUTDOWN_TIMEOUT;
        root.read_timeout("shutdownTimeout", &mut shutdown_timeout);
        let mut cpu_scheduling = CpuScheduling::default();
        root.read_as("cpuScheduling", "batch or normal", &mut cpu_scheduling, |value| {
            match String::read(value)?.to_ascii_lowercase().as_str() {
                "batch" => Some(CpuScheduling::Batch),
                "normal" => Some(CpuScheduling::Normal),
                _ => None,
            }
        });
        let mut ready_within = READY_WITHIN;
        root.read_timeout("health.readyWithin", &mut ready_within);
        let mut config = Self {
            identity,
            shutdown_timeout,
            cpu_scheduling,
            primary: server::read_required(&root.section("primary"), 8080),
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
            discovery: discovery::read(root),
            kafka: kafka::read(&root.section("kafka")),
            trace: trace::read(&root.section("tracing")),
            convey_keys: Vec::new(),
            subprotocols: device::read_subprotocols(&root.section("device.manager.upgrader")),
            handshakes: device::read_handshakes(&root.section("device.manager.handshakes")),
            reload: ReloadConfig::read(&root.section("config")),
            ready_within,
        };
        if config.event.by_instances
            && !config.discovery.as_ref().is_some_and(|service| service.watches_receivers())
        {
            let problem = "has no effect, because service watches no caduceus";
            root.warn("device.outbound.enableConsulRoundRobin", problem);
        }
        device::read_expiry(&root.section("device.manager"), &mut config.device, &config.device_auth);
        let is_open = config.api.auth.keys.is_none() && config.api.auth.tokens.is_none();
        let bodies = Arc::new(Budget::new(Store::Bodies, config.api.max_pending_bytes));
        let open_access = if is_open { OpenAccess::Changes } else { OpenAccess::Authenticated };
        for primary in [Some(&mut config.primary), config.alternate.as_mut()].into_iter().flatten() {
            primary.open_access = open_access;
            primary.bodies = Some(Arc::clone(&bodies));
        }
        server::check_addresses(
            root,
            [
                ("primary", Some(&config.primary)),
                ("alternate", config.alternate.as_ref()),
                ("health", config.health.as_ref()),
                ("metric", config.metric.as_ref()),
                ("control", config.control.as_ref()),
            ],
        );
        config.convey_keys = config.kafka.as_ref().map(kafka::convey_keys).unwrap_or_default();
        config
    }
}

impl ReloadConfig {
    fn read(section: &Section<'_>) -> Self {
        let (mut watch, mut persist) = (true, String::new());
        section.read("watch", &mut watch);
        section.read("persist", &mut persist);
        Self { watch, persist: (!persist.is_empty()).then(|| persist.into()) }
    }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(Fault::to_string).collect::<Vec<_>>().join("\n")
}
