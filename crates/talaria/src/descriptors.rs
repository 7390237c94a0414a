//! The open files of the process: their limit, and how many of them clients may use (contract §14.25).
//!
//! Each connection takes one. Without a bound, clients could take those with which the gateway delivers events and answers its
//! operators, so the servers for devices and the API share only what a [`Reserve`] leaves. Start reading at [`apportion`].

use tracing::{info, warn};

use crate::config::Config;
use crate::server;

/// What the process needs besides its connections: standard streams, the runtime, listeners, log files, files of
/// certificates that are being read, and requests to key servers and schema registries.
const BASE: u64 = 32;
/// The connections of librdkafka to the brokers, and its pipes, twice: a new client replaces the old one while that is
/// drained.
const KAFKA: u64 = 40;
/// The part of the limit that stays for clients, however much else is configured: a quarter.
const CLIENTS_SHARE: u64 = 4;

/// How many open files are kept from the clients of the primary and the alternate server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reserve(u64);

/// Raises the soft limit of open files to the hard one, as the Go runtime does for every program. Returns the limit if it
/// is known.
pub fn raise_limit() -> Option<u64> {
    match raise() {
        Ok(limit) => Some(limit),
        Err(error) => {
            warn!(%error, "cannot raise the limit of open files, fewer devices can connect");
            None
        }
    }
}

/// Gives `maxConnections` of the primary and of the alternate server, where they are not configured, the open files that the
/// reserve leaves. Configured values stay; a warning says if they are more than there are.
pub fn apportion(config: &mut Config, limit: u64) {
    let reserve = Reserve::of(config, limit);
    let room = usize::try_from(limit - reserve.0).unwrap_or(usize::MAX);
    let mut servers: Vec<&mut server::Config> =
        [Some(&mut config.primary), config.alternate.as_mut()].into_iter().flatten().collect();
    let configured: usize = servers.iter().filter_map(|server| server.max_connections).sum();
    if configured > room {
        warn!(
            max_connections = configured,
            room,
            limit,
            "maxConnections is higher than the limit of open files allows: clients can take the open files of the \
             sinks and of the operator's servers; raise the limit (ulimit -n) or lower maxConnections"
        );
    }
    let open = servers.iter().filter(|server| server.max_connections.is_none()).count();
    let each = (room.saturating_sub(configured) / open.max(1)).max(1);
    for server in &mut servers {
        server.max_connections.get_or_insert(each);
    }
    let max_connections: usize = servers.iter().filter_map(|server| server.max_connections).sum();
    info!(limit, reserve = reserve.0, max_connections, "limit of open files");
}

impl Reserve {
    /// The reserve of a gateway with this configuration, at most three quarters of the limit.
    #[must_use]
    pub fn of(config: &Config, limit: u64) -> Self {
        let operators = [config.health.as_ref(), config.metric.as_ref(), config.control.as_ref()];
        let operators = operators.into_iter().flatten();
        // One without a limit of its own is expected to have as many connections as one has by default.
        let operators = operators
            .map(|server| count(server.max_connections.unwrap_or(server::Config::OPERATOR_CONNECTIONS)));
        let kafka = if config.kafka.is_some() { KAFKA } else { 0 };
        let needed = BASE + operators.sum::<u64>() + event_connections(&config.event) + kafka;
        Self(needed.min(limit - limit / CLIENTS_SHARE))
    }
}

/// The connections to event receivers: each worker has one, and each receiver may keep as many idle ones. Hosts that devices
/// name have workers and idle connections of their own.
fn event_connections(config: &crate::event::Config) -> u64 {
    let workers = count(config.workers);
    let receivers = count(config.endpoints.iter().count()).max(1);
    let idle = match config.transport.max_idle_conns {
        0 => workers * (receivers - 1),
        most => count(most),
    };
    let dns = &config.dns;
    workers + idle + count(dns.workers) + count(dns.transport.max_idle_conns.max(dns.workers))
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

#[expect(unsafe_code, reason = "the standard library has no call for resource limits")]
fn raise() -> std::io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the pointer refers to a live rlimit that nothing else uses, which is all that getrlimit requires.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: as above; setrlimit only reads.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        return Err(std::io::Error::last_os_error());
    }
    Ok(limit.rlim_cur)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Sources, load};

    fn configured(variables: &[(&str, &str)]) -> Config {
        let variables = variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        load(&Sources { variables, ..Sources::default() }).unwrap().config
    }

    #[test]
    fn clients_get_what_the_reserve_leaves() {
        let mut config = configured(&[]);
        let reserve = Reserve::of(&config, 20_000).0;
        // Two servers for operators, a hundred workers, and the connections to hosts that devices name.
        assert_eq!(reserve, BASE + 2 * 32 + 100 + 32 + 100);
        apportion(&mut config, 20_000);
        assert_eq!(config.primary.max_connections, Some(20_000 - reserve as usize));
    }

    #[test]
    fn kafka_and_further_receivers_and_servers_need_more() {
        let reserve = |variables| Reserve::of(&configured(variables), 20_000).0;
        let least = reserve(&[]);
        let kafka = [("TALARIA_KAFKA_ENABLED", "true"), ("TALARIA_KAFKA_BROKERS", "localhost:9092")];
        assert_eq!(reserve(&kafka), least + KAFKA);
        assert_eq!(reserve(&[("TALARIA_CONTROL_ADDRESS", "127.0.0.1:0")]), least + 32);
        assert_eq!(reserve(&[("TALARIA_HEALTH_MAXCONNECTIONS", "100")]), least - 32 + 100);
        assert_eq!(reserve(&[("TALARIA_DEVICE_OUTBOUND_TRANSPORT_MAXIDLECONNS", "7")]), least + 7);
    }

    #[test]
    fn a_low_limit_is_shared_so_that_a_quarter_is_left_for_clients() {
        let mut config = configured(&[]);
        apportion(&mut config, 128);
        assert_eq!(config.primary.max_connections, Some(32));
        let mut config = configured(&[("TALARIA_ALTERNATE_ADDRESS", "127.0.0.1:0")]);
        apportion(&mut config, 128);
        assert_eq!(config.primary.max_connections, Some(16));
        assert_eq!(config.alternate.unwrap().max_connections, Some(16));
    }

    #[test]
    fn a_configured_limit_stays_as_it_is() {
        let mut config = configured(&[("TALARIA_PRIMARY_MAXCONNECTIONS", "5000")]);
        apportion(&mut config, 128);
        assert_eq!(config.primary.max_connections, Some(5000));
    }
}
