//! The settings of service discovery (contract §11.1).

use talaria_protocol::discovery::{DEFAULT_VNODES, instance};

use super::{consul, zookeeper};

/// The service whose instances are the event receivers (contract §11.6).
const RECEIVERS: &str = "caduceus";

/// Service discovery as it is configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The scheme of instances without one.
    pub default_scheme: String,
    /// The tokens of each instance in the hash.
    pub vnodes: u32,
    /// Whether devices of other instances are refused when they connect.
    pub refuses_devices: bool,
    /// The URLs of this gateway as the instances of its fleet. Empty: no device is refused or moved.
    pub own: Vec<String>,
    /// The services whose instances are the fleet. `fixed` always is.
    pub services: Vec<String>,
    /// How many devices are closed in a second when they have to move; 0: as `closeOver` says.
    pub rate: u32,
    /// Where the instances are learned.
    pub backend: Backend,
}

/// Where the instances are learned, and where this gateway is registered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backend {
    /// They are written in the configuration, and nothing is registered.
    Fixed(Vec<String>),
    /// Consul.
    Consul(Box<consul::Config>),
    /// ZooKeeper.
    ZooKeeper(Box<zookeeper::Config>),
}

impl Config {
    /// With the defaults of all that a backend does not need.
    #[must_use]
    pub fn new(backend: Backend) -> Self {
        Self {
            default_scheme: instance::DEFAULT_SCHEME.to_owned(),
            vnodes: DEFAULT_VNODES,
            refuses_devices: true,
            own: Vec::new(),
            services: vec!["talaria".to_owned()],
            rate: 0,
            backend,
        }
    }

    /// Whether it watches the event receivers.
    #[must_use]
    pub fn watches_receivers(&self) -> bool {
        match &self.backend {
            Backend::Fixed(_) => false,
            Backend::Consul(consul) => consul.watches.iter().any(|watch| is_receivers(&watch.service)),
            Backend::ZooKeeper(zookeeper) => zookeeper.watches.iter().any(|path| is_receivers(path)),
        }
    }

    /// Whether the instances of a service are the fleet.
    ///
    /// The service of a ZooKeeper watch is the path that is watched: the last part of it is enough as a name.
    #[must_use]
    pub fn is_fleet(&self, service: &str) -> bool {
        let name = service.rsplit('/').next().unwrap_or(service);
        self.services.iter().any(|fleet| fleet == service || fleet == name)
    }
}

/// Whether the instances of a service, or of ZooKeeper's path, are the event receivers.
pub(super) fn is_receivers(service: &str) -> bool {
    service.rsplit('/').next() == Some(RECEIVERS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_zookeeper_is_known_by_its_last_part() {
        let config = Config::new(Backend::Fixed(Vec::new()));
        assert!(config.is_fleet("talaria") && config.is_fleet("/xmidt/talaria"));
        assert!(!config.is_fleet("/talaria/caduceus") && !config.is_fleet("caduceus"));
    }
}
