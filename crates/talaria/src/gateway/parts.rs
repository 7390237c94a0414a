//! The parts of a gateway whose settings may change while it runs, with their sections of the configuration.

use std::sync::Arc;
use std::time::Duration;

use super::{BoundGateway, ShutdownTimeout};
use talaria_protocol::ws::handshake::Subprotocol;

use crate::api::{self, Api};
use crate::auth::{self, DeviceAuth};
use crate::config::Config;
use crate::device::{self, Manager};
use crate::discovery::{self, Discovery};
use crate::event::kafka::{KafkaSettings, LivePublisher};
use crate::event::{self, Dispatcher};
use crate::live::{Change, Live, PrepareError, Setting};
use crate::primary::Subprotocols;
use crate::reload::part::{Key, Part};
use crate::server::{self, Handshakes, HandshakesConfig, Server, ServerSettings};
use crate::telemetry::log;
use crate::trace::{self, Tracing};

/// The keys of no component.
const GATEWAY: &[(&str, &str)] = &[
    ("server", "every response carries it from the start on"),
    ("build", "every response carries it from the start on"),
    ("region", "every response carries it from the start on"),
    ("flavor", "every response carries it from the start on"),
    ("metric.metricsOptions", "the names of metrics do not change while they are read"),
    ("touchstone", "the names of metrics do not change while they are read"),
    ("cpuScheduling", "threads keep the policy that they were started with"),
    ("config", "it says where changes come from"),
    ("health.readyWithin", "only the start waits"),
];

/// Said of the settings of a server that does not run.
const NOT_STARTED: &str = "the server has no address, so it was not started";

impl Live<Duration> for ShutdownTimeout {
    const SETTINGS: &'static [Setting] = &[Setting::live("shutdownTimeout")];

    fn prepare(self: &Arc<Self>, settings: &Duration) -> Result<Change, PrepareError> {
        let (timeout, settings) = (Arc::clone(self), Arc::new(*settings));
        Ok(Box::new(move || timeout.0.store(settings)))
    }
}

pub(super) fn of(bound: &BoundGateway) -> Vec<Part> {
    let gateway = &bound.gateway;
    let publisher = LivePublisher::new(gateway.publisher.clone(), gateway.config.convey_keys.clone());
    let kafka = |config: &Config| {
        let convey_keys = config.convey_keys.clone();
        config.kafka.clone().map(|kafka| KafkaSettings { kafka, convey_keys })
    };
    let server = |name: &'static str, server: Option<&Server>, settings| match server {
        Some(server) => Part::new(name, Arc::clone(server.settings()), settings),
        None => Part::at_start(&[(name, NOT_STARTED)]),
    };
    type Settings = fn(&Config) -> Option<server::Config>;
    let servers: [(&'static str, Option<&Server>, Settings); 5] = [
        ("primary", Some(&bound.primary), |config| Some(config.primary.clone())),
        ("alternate", bound.alternate.as_ref(), |config| config.alternate.clone()),
        ("health", bound.health.as_ref(), |config| config.health.clone()),
        ("metric", bound.metric.as_ref(), |config| config.metric.clone()),
        ("control", bound.control.as_ref(), |config| config.control.clone()),
    ];
    let mut parts = vec![
        Part::at_start(GATEWAY),
        Part::new("", Arc::clone(&gateway.shutdown_timeout), |config| Some(config.shutdown_timeout)),
        Part::new("", Arc::clone(&gateway.device_auth), |config| Some(config.device_auth.clone())),
        Part::new("", Arc::clone(&gateway.api), |config| Some(config.api.clone())),
        Part::new("device.manager", Arc::clone(&gateway.manager), |config| Some(config.device.clone())),
        Part::new("device.manager.upgrader.subprotocols", Arc::clone(&gateway.subprotocols), |config| {
            Some(config.subprotocols.clone())
        }),
        Part::new("device.manager.handshakes", Arc::clone(&gateway.handshakes), |config| {
            Some(config.handshakes)
        }),
        Part::new("device.outbound", Arc::clone(&gateway.dispatcher), |config| Some(config.event.clone())),
        Part::new("kafka", publisher, kafka),
        Part::new("", Arc::clone(&gateway.tracing), |config| Some(config.trace.clone())),
        Part::new("", Arc::clone(&gateway.discovery), |config| Some(config.discovery.clone())),
    ];
    parts.extend(servers.map(|(name, running, settings)| server(name, running, settings)));
    parts
}

/// The keys of all parts of a gateway with this configuration, and when a change of each takes effect.
#[must_use]
pub fn keys(config: &Config) -> Vec<Key> {
    let server = |name: &'static str, runs: bool| {
        if runs {
            Key::all::<server::Config, ServerSettings>(name)
        } else {
            Key::all_at_start(&[(name, NOT_STARTED)])
        }
    };
    [
        Key::all_at_start(GATEWAY),
        Key::all::<Duration, ShutdownTimeout>(""),
        Key::all::<auth::DeviceConfig, DeviceAuth>(""),
        Key::all::<api::Config, Api>(""),
        Key::all::<device::Config, Manager>("device.manager"),
        Key::all::<Vec<Subprotocol>, Subprotocols>("device.manager.upgrader.subprotocols"),
        Key::all::<HandshakesConfig, Handshakes>("device.manager.handshakes"),
        Key::all::<event::Config, Dispatcher>("device.outbound"),
        Key::all::<KafkaSettings, LivePublisher>("kafka"),
        Key::all::<Option<discovery::Config>, Discovery>(""),
        Key::all::<trace::Config, Tracing>(""),
        Key::all::<log::Config, log::Logging>("zap"),
        server("primary", true),
        server("alternate", config.alternate.is_some()),
        server("health", config.health.is_some()),
        server("metric", config.metric.is_some()),
        server("control", config.control.is_some()),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::tree::Node;
    use crate::config::{Sources, load};
    use crate::gateway::Gateway;
    use crate::live::TakesEffect;

    /// The paths of all values of a tree.
    fn leaves(path: &str, node: &Node, found: &mut Vec<String>) {
        if node.entries().is_empty() && !path.is_empty() {
            found.push(path.to_owned());
        }
        for entry in node.entries() {
            let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            leaves(&path, &entry.node, found);
        }
    }

    #[tokio::test]
    async fn every_key_has_one_component_that_says_when_it_takes_effect() {
        let variables = ["ALTERNATE", "CONTROL"]
            .map(|server| (format!("TALARIA_{server}_ADDRESS"), "127.0.0.1:0".into()));
        let loaded = load(&Sources { variables: variables.to_vec(), ..Sources::default() }).unwrap();
        let mut config = loaded.config.clone();
        config.primary.address = "127.0.0.1:0".parse().unwrap();
        (config.health, config.metric) = (None, None);
        let mut parts = Gateway::build(config).unwrap().bind().unwrap().parts();
        parts.push(Part::new("zap", Arc::new(NoLog), |config| Some(config.log.clone())));
        let mut paths = Vec::new();
        leaves("", &loaded.tree, &mut paths);
        assert!(paths.len() > 200, "{paths:?}");
        for path in paths {
            let owners: Vec<_> = parts.iter().filter(|part| part.owns(&path)).collect();
            assert!(!owners.is_empty(), "no component has {path}");
        }
        // What is said without a gateway is what a gateway does.
        let mut of_parts: Vec<_> = parts.iter().flat_map(Part::keys).map(|key| format!("{key:?}")).collect();
        let mut of_keys: Vec<_> = keys(&loaded.config).iter().map(|key| format!("{key:?}")).collect();
        of_parts.retain(|key| !key.contains("\"health\"") && !key.contains("\"metric\""));
        of_keys.retain(|key| {
            !["health", "metric"]
                .iter()
                .any(|server| SERVER_KEYS.iter().any(|below| key.contains(&format!("\"{server}{below}\""))))
        });
        of_parts.sort();
        of_keys.sort();
        assert_eq!(of_parts, of_keys);
    }

    /// Keys that only servers have that run.
    const SERVER_KEYS: [&str; 3] = ["", ".address", ".maxConnections"];

    /// In place of the log of the process.
    struct NoLog;

    impl Live<log::Config> for NoLog {
        const SETTINGS: &'static [Setting] = <log::Logging as Live<log::Config>>::SETTINGS;

        fn prepare(self: &Arc<Self>, _: &log::Config) -> Result<Change, PrepareError> {
            Ok(Box::new(|| {}))
        }
    }

    #[test]
    fn a_reason_is_given_for_each_key_of_the_gateway_itself() {
        let part = Part::at_start(GATEWAY);
        assert!(
            part.keys()
                .iter()
                .all(|key| matches!(key.takes_effect, TakesEffect::AtStart(reason) if !reason.is_empty()))
        );
    }
}
