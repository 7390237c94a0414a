//! Why there is no testbed.

use std::io;
use std::net::SocketAddr;

use crate::access::AccessError;
use crate::kafka::ReaderError;
use crate::process::Process;

use super::spawn::SpawnError;

/// Why a testbed could not be started, read or stopped.
#[derive(Debug, thiserror::Error)]
pub enum TestbedError {
    /// The gateway did not start.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The topic cannot be read.
    #[error(transparent)]
    Kafka(#[from] ReaderError),
    /// The Kafka cluster in memory did not start.
    #[error(transparent)]
    MockKafka(#[from] wrpkafka::mock::MockError),
    /// The event receiver cannot listen.
    #[error("cannot receive events at {address}: {source}")]
    Receiver {
        /// The address to listen at.
        address: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The gateway's process ended, or its figures may not be read.
    #[error("cannot read the memory and CPU time of the gateway's process {pid}: {source}")]
    Process {
        /// The process id.
        pid: u32,
        /// The system's error.
        source: io::Error,
    },
    /// The limit of open files is too low for this many connections.
    #[error(
        "{connections} connections need about {needed} open files, and the limit is {allowed}; raise it (ulimit -n) or use \
         fewer devices"
    )]
    Files {
        /// Connections to the gateway at the same time.
        connections: usize,
        /// Files that this needs.
        needed: u64,
        /// Files that the system allows.
        allowed: u64,
    },
    /// The credentials of devices cannot be read, or do not suffice.
    #[error(transparent)]
    Access(#[from] AccessError),
    /// The options name no gateway.
    #[error("give either --spawn, or --device and --pid")]
    NoGateway,
}

impl TestbedError {
    pub(crate) fn of_process(process: Process, source: io::Error) -> Self {
        Self::Process { pid: process.pid(), source }
    }
}
