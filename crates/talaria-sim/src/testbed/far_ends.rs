//! The far ends of a gateway: the HTTP receiver and the Kafka topic where its events arrive, each with a counter.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use wrpkafka::mock::MockKafka;

use super::error::TestbedError;
use super::options::TestbedOptions;
use super::spawn::Routes;
use crate::kafka::KafkaReader;
use crate::ledger::{End, Ends, Ledger};
use crate::receiver::Receiver;
use crate::sink::{Sink, SinkCounts};

/// Partitions of the topic in the Kafka cluster in memory.
const PARTITIONS: i32 = 12;

/// The far ends of a run, which count while this exists.
pub(crate) struct FarEnds {
    http: Option<(Receiver, String, Arc<Sink>)>,
    kafka: Option<(KafkaReader, Arc<Sink>)>,
    brokers: Option<String>,
    // The last field, so that it is dropped after the reader, which is its client.
    _mock: Option<MockKafka>,
}

impl FarEnds {
    /// The ends that an event must reach to count as done; without a receiver and Kafka it is the device, which gets the
    /// acknowledgement.
    pub(crate) fn expected(options: &TestbedOptions, routes: Routes) -> Ends {
        let http = has_receiver(options) && routes == Routes::Both;
        let kafka = options.spawn.is_some() || options.kafka.is_some();
        Ends::NONE.with(End::Http, http).with(End::Kafka, kafka).with(End::Ack, !http && !kafka)
    }

    pub(crate) async fn start(options: &TestbedOptions, ledger: &Arc<Ledger>) -> Result<Self, TestbedError> {
        let mock = if options.spawn.is_some() {
            let mock = MockKafka::start(PARTITIONS)?;
            mock.create_topic(&options.topic, PARTITIONS)?;
            Some(mock)
        } else {
            None
        };
        let http = if has_receiver(options) {
            let address = options.receiver_listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let sink = Arc::new(Sink::new(End::Http, Arc::clone(ledger)));
            let receiver = Receiver::bind(address, Arc::clone(&sink) as _)
                .await
                .map_err(|source| TestbedError::Receiver { address, source })?;
            let url = receiver.url();
            Some((receiver, url, sink))
        } else {
            None
        };
        let brokers = mock.as_ref().map(MockKafka::brokers).or_else(|| options.kafka.clone());
        let kafka = match &brokers {
            Some(brokers) => {
                let sink = Arc::new(Sink::new(End::Kafka, Arc::clone(ledger)));
                Some((KafkaReader::start(brokers, &options.topic, Arc::clone(&sink) as _).await?, sink))
            }
            None => None,
        };
        Ok(Self { http, kafka, brokers, _mock: mock })
    }

    /// The URL to which the gateway must send events.
    pub(crate) fn receiver_url(&self) -> Option<&str> {
        self.http.as_ref().map(|(_, url, _)| url.as_str())
    }

    /// The bootstrap servers of Kafka.
    pub(crate) fn brokers(&self) -> Option<&str> {
        self.brokers.as_deref()
    }

    /// The counter at the receiver, if there is one.
    pub(crate) fn http(&self) -> Option<&Sink> {
        self.http.as_ref().map(|(_, _, sink)| &**sink)
    }

    /// The counter at the topic, if there is one.
    pub(crate) fn kafka(&self) -> Option<&Sink> {
        self.kafka.as_ref().map(|(_, sink)| &**sink)
    }

    /// Whether the counts of each sink satisfy `condition`.
    pub(crate) fn all(&self, condition: impl Fn(SinkCounts) -> bool) -> bool {
        [self.http(), self.kafka()].into_iter().flatten().all(|sink| condition(sink.counts()))
    }
}

/// Whether there is a receiver. It gets online and offline events also of a gateway whose devices' events go to Kafka only.
fn has_receiver(options: &TestbedOptions) -> bool {
    options.spawn.is_some() || options.receiver_listen.is_some()
}
