//! Why an attack drill has no report.

use std::io;
use std::net::SocketAddr;

use crate::testbed::TestbedError;

/// Why the drill could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum AttackError {
    /// The testbed failed.
    #[error(transparent)]
    Testbed(#[from] TestbedError),
    /// The gateway is on another machine.
    #[error("{0} is not on this machine; if you may attack that gateway, add --elsewhere")]
    Elsewhere(SocketAddr),
    /// Some honest devices did not connect.
    #[error("{failed} of {devices} devices did not connect: {error}")]
    Fleet {
        /// Devices that did not connect.
        failed: usize,
        /// All devices.
        devices: usize,
        /// The error of the first of them.
        error: String,
    },
    /// The gateway's metrics cannot be read.
    #[error("cannot read the gateway's metrics at {address}: {source}")]
    Metrics {
        /// The address of its metrics server.
        address: SocketAddr,
        /// The error of the request.
        source: io::Error,
    },
    /// No port for the host that attackers name.
    #[error("cannot listen for events to a host that attackers name: {0}")]
    SilentHost(io::Error),
    /// The options do not name the metrics server of a running gateway.
    #[error("give --metrics with --device")]
    NoMetrics,
}
