//! The demo's scenery: a Kafka cluster in memory, an event receiver, a topic reader, the gateway, its devices.

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
use tokio::sync::oneshot;
use tokio::task::{JoinError, JoinHandle};
use wrpkafka::mock::{MockError, MockKafka};

use super::moment::Moment;
use crate::config::{self, Config, LoadError, Sources};
use crate::gateway::{Addresses, BuildError, Gateway, Left, StartError};
use crate::server::{Address, BindError};
use crate::telemetry::log::{self, Logging};

/// The topic of the gateway's default route.
pub(super) const TOPIC: &str = "wrp-events";

/// Partitions of the topic.
const PARTITIONS: i32 = 12;

/// Everything that plays a part. What is above goes before what is below.
pub(super) struct Stage {
    pub(super) fleet: Arc<Fleet>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) gateway: RunningGateway,
    pub(super) http: Arc<Sink>,
    pub(super) kafka: Arc<Sink>,
    pub(super) receiver: Receiver,
    _reader: KafkaReader,
    cluster: MockKafka,
}

/// The gateway under way.
pub(super) struct RunningGateway {
    pub(super) addresses: Addresses,
    /// Where its log is.
    pub(super) log: PathBuf,
    /// Dropped to stop it.
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<Result<Left, StartError>>,
    _logging: Logging,
}

/// What is missing on the stage.
#[derive(Debug, thiserror::Error)]
pub(super) enum StageError {
    #[error("the configuration: {0}")]
    Config(#[from] LoadError),
    #[error("the log: {0}")]
    Log(#[from] log::Error),
    #[error(transparent)]
    MockKafka(#[from] MockError),
    #[error(transparent)]
    Reader(#[from] ReaderError),
    #[error("the event receiver: {0}")]
    Receiver(io::Error),
    #[error("the gateway: {0}")]
    Build(#[from] BuildError),
    #[error("the gateway: {0}")]
    Bind(#[from] BindError),
    #[error("the gateway: {0}")]
    Start(#[from] StartError),
    #[error("the gateway: {0}")]
    Panicked(#[from] JoinError),
}

impl Stage {
    /// Sets everything up for so many devices, which do not connect yet. All ports are the system's choice.
    pub(super) async fn set(devices: usize) -> Result<Self, StageError> {
        // a system that does not allow it may still have enough
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
            Receiver::bind(any_port, Arc::clone(&http) as _).await.map_err(StageError::Receiver)?;
        let gateway = RunningGateway::start(&receiver.url(), cluster.brokers())?;
        let target = Target::at(gateway.addresses.primary);
        let fleet = Arc::new(Fleet::new(fleet::Config::new(target, devices), Arc::clone(&ledger)));
        Ok(Self { fleet, ledger, gateway, http, kafka, receiver, _reader: reader, cluster })
    }

    /// Kafka's bootstrap servers.
    pub(super) fn brokers(&self) -> String {
        self.cluster.brokers()
    }

    /// Looks at the flow and compares it with the moment before.
    pub(super) fn look(&self, elapsed: Duration, before: &Moment) -> Moment {
        Moment::look(elapsed, before, &self.fleet, &self.ledger, [&self.http, &self.kafka])
    }
}

impl RunningGateway {
    /// The gateway with its default configuration, but for the addresses.
    fn start(receiver: &str, brokers: String) -> Result<Self, StageError> {
        let log = std::env::temp_dir().join(format!("talaria-demo-{}.log", std::process::id()));
        let mut config = config::load(&Sources::default())?.config;
        config.log.outputs = vec![log::Output::File(log.clone())];
        let logging = Logging::start(&config.log)?;
        wire(&mut config, receiver, brokers);
        let bound = Gateway::build(config)?.bind()?;
        let addresses = bound.addresses();
        let (stop, stopping) = oneshot::channel();
        let running = tokio::spawn(bound.run(async {
            // nothing is ever sent: the sender's end is the sign
            let _ = stopping.await;
        }));
        Ok(Self { addresses, log, stop: Some(stop), running, _logging: logging })
    }

    /// Stops it in order and tells what it could not deliver.
    pub(super) async fn stop(&mut self) -> Result<Left, StageError> {
        drop(self.stop.take());
        Ok((&mut self.running).await??)
    }
}

/// Connects the gateway with what is around it.
fn wire(config: &mut Config, receiver: &str, brokers: String) {
    for server in [&mut config.primary, &mut config.health, &mut config.metric] {
        server.address = Address::loopback(0);
    }
    config.event.endpoints.insert("default", [receiver]);
    config.kafka = Some(wrpkafka::Config { brokers: vec![brokers], ..wrpkafka::Config::default() });
}
