//! Several gateways that share a receiver and a Kafka, for more devices than one process may open files for. Their load
//! comes from other processes, so what arrives is counted without a ledger.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use wrpkafka::mock::MockKafka;

use super::error::TestbedError;
use super::gateway::Gateway;
use super::options::TestbedOptions;
use super::spawn::{GatewayConfig, Routes, SpawnedGateway};
use crate::kafka::KafkaReader;
use crate::receiver::Receiver;
use crate::run::RunId;
use crate::tally::{Tally, Totals};

/// Partitions of the topic. The Kafka in memory answers a reader with one batch of each partition, and forgets what is more than 5 MB in one:
/// with few partitions, a reader on a busy machine misses records of several gateways.
const PARTITIONS: i32 = 96;

/// Gateways with the far ends of their events. On drop the gateways are killed.
pub(crate) struct Gateways {
    pub(crate) gateways: Vec<Gateway>,
    http: Arc<Tally>,
    kafka: Arc<Tally>,
    _receiver: Receiver,
    _reader: KafkaReader,
    // The last field, so that it is dropped after the reader, which is its client.
    _mock: MockKafka,
}

impl Gateways {
    /// Starts a gateway of this program for each run. Events go to the receiver and to Kafka.
    pub(crate) async fn start(
        options: &TestbedOptions,
        program: &Path,
        runs: impl IntoIterator<Item = RunId>,
    ) -> Result<Self, TestbedError> {
        let mock = MockKafka::start(PARTITIONS)?;
        mock.create_topic(&options.topic, PARTITIONS)?;
        let (http, kafka) = (Arc::new(Tally::default()), Arc::new(Tally::default()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let receiver = Receiver::bind(address, Arc::clone(&http) as _)
            .await
            .map_err(|source| TestbedError::Receiver { address, source })?;
        let brokers = mock.brokers();
        let reader = KafkaReader::start(&brokers, &options.topic, Arc::clone(&kafka) as _).await?;
        let config = GatewayConfig {
            receiver: &receiver.url(),
            brokers: &brokers,
            topic: &options.topic,
            auth: &options.auth,
            tls: false,
            limits: None,
            routes: Routes::Both,
        };
        let mut gateways = Vec::new();
        for run in runs {
            let spawned = SpawnedGateway::start(&options.prefix, program, run, &config).await?;
            gateways.push(Gateway::spawned(spawned, options.access.tickets())?);
        }
        Ok(Self { gateways, http, kafka, _receiver: receiver, _reader: reader, _mock: mock })
    }

    /// What has arrived at the receiver and in the topic, by name.
    pub(crate) fn arrived(&self) -> [(&'static str, Totals); 2] {
        [("http", self.http.totals()), ("kafka", self.kafka.totals())]
    }

    /// Stops all gateways. Returns their exit codes, with -1 for one that was ended by a signal.
    pub(crate) async fn stop(self) -> Result<Vec<i32>, TestbedError> {
        let mut codes = Vec::new();
        for gateway in self.gateways {
            codes.extend(gateway.stop().await?);
        }
        Ok(codes)
    }
}
