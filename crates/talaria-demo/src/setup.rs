//! Everything that runs in a demo: a Kafka cluster in memory, an event receiver, a topic reader, the gateway, its devices.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use talaria_sim::fleet::{self, Fleet, Target};
use talaria_sim::kafka::{KafkaReader, ReaderError};
use talaria_sim::ledger::{End, Ends, Ledger};
use talaria_sim::process;
use talaria_sim::receiver::Receiver;
use talaria_sim::run::RunId;
use talaria_sim::sink::Sink;
use wrpkafka::mock::{MockError, MockKafka};

use crate::gateway::{FarEnds, GatewayError, RunningGateway};
use crate::sample::Sample;

/// The topic of the gateway's default route.
pub(crate) const TOPIC: &str = "wrp-events";

/// Partitions of the topic.
const PARTITIONS: i32 = 12;

/// What runs, in the order in which it is dropped: a part before those that it uses.
pub(crate) struct Setup {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) gateway: RunningGateway,
    /// The gateway's log.
    pub(crate) log: PathBuf,
    pub(crate) http: Arc<Sink>,
    pub(crate) kafka: Arc<Sink>,
    pub(crate) receiver: Receiver,
    _reader: KafkaReader,
    cluster: MockKafka,
}

/// A part that did not start.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The Kafka cluster in memory.
    #[error(transparent)]
    MockKafka(#[from] MockError),
    /// The consumer that reads the topic.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// The event receiver.
    #[error("the event receiver: {0}")]
    Receiver(io::Error),
    /// The gateway.
    #[error("the gateway: {0}")]
    Gateway(#[source] GatewayError),
}

impl Setup {
    /// Starts everything for so many devices, which do not connect yet. The system chooses all ports.
    pub(crate) async fn start(
        devices: usize,
        start_gateway: impl FnOnce(FarEnds) -> Result<RunningGateway, GatewayError>,
    ) -> Result<Self, SetupError> {
        // Where the limit cannot be raised it may still be high enough.
        let _ = process::raise_open_files();
        let run = RunId::random();
        let wanted = Ends::NONE.with(End::Http, true).with(End::Kafka, true);
        let ledger = Arc::new(Ledger::new(run, wanted));
        let http = Arc::new(Sink::new(End::Http, Arc::clone(&ledger)));
        let kafka = Arc::new(Sink::new(End::Kafka, Arc::clone(&ledger)));

        let cluster = MockKafka::start(PARTITIONS)?;
        cluster.create_topic(TOPIC, PARTITIONS)?;
        let reader = KafkaReader::start(&cluster.brokers(), TOPIC, Arc::clone(&kafka) as _).await?;
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let receiver =
            Receiver::bind(any_port, Arc::clone(&http) as _).await.map_err(SetupError::Receiver)?;
        let log = std::env::temp_dir().join(format!("talaria-demo-{}.log", std::process::id()));
        let far_ends = FarEnds { receiver: receiver.url(), brokers: cluster.brokers(), log: log.clone() };
        let gateway = start_gateway(far_ends).map_err(SetupError::Gateway)?;
        let target = Target::at(gateway.addresses.primary);
        let fleet = Arc::new(Fleet::new(fleet::Config::new(target, devices), Arc::clone(&ledger)));
        Ok(Self { fleet, ledger, gateway, log, http, kafka, receiver, _reader: reader, cluster })
    }

    /// Kafka's bootstrap servers.
    pub(crate) fn brokers(&self) -> String {
        self.cluster.brokers()
    }

    /// Measures the flow, and compares it with the sample before.
    pub(crate) fn sample(&self, elapsed: Duration, before: &Sample) -> Sample {
        Sample::take(elapsed, before, &self.fleet, &self.ledger, [&self.http, &self.kafka])
    }
}
