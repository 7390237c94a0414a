//! Where the gateway's events arrive: the receiver, the topic, and who counts at each.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use wrpkafka::mock::MockKafka;

use super::{BenchError, Options};
use crate::kafka::KafkaReader;
use crate::ledger::{End, Ends, Ledger};
use crate::receiver::Receiver;
use crate::sink::{Sink, SinkCounts};

/// Partitions of the topic in memory.
const PARTITIONS: i32 = 12;

/// The far ends of a run.
pub(crate) struct FarEnds {
    http: Option<(Receiver, String, Arc<Sink>)>,
    kafka: Option<(KafkaReader, Arc<Sink>)>,
    brokers: Option<String>,
    // goes after those who talk to it
    _mock: Option<MockKafka>,
}

impl FarEnds {
    /// The ends that events must reach. Where there is neither a receiver nor Kafka, it is the acknowledgement.
    pub(crate) fn wanted(options: &Options) -> Ends {
        let spawn = options.spawn.is_some();
        let (http, kafka) = (spawn || options.receiver_listen.is_some(), spawn || options.kafka.is_some());
        Ends::NONE.with(End::Http, http).with(End::Kafka, kafka).with(End::Ack, !http && !kafka)
    }

    pub(crate) async fn start(options: &Options, ledger: &Arc<Ledger>) -> Result<Self, BenchError> {
        let wanted = ledger.wanted();
        let mock = if options.spawn.is_some() {
            let mock = MockKafka::start(PARTITIONS)?;
            mock.create_topic(&options.topic, PARTITIONS)?;
            Some(mock)
        } else {
            None
        };
        let http = if wanted.has(End::Http) {
            let address = options.receiver_listen.unwrap_or(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
            let sink = Arc::new(Sink::new(End::Http, Arc::clone(ledger)));
            let receiver = Receiver::bind(address, Arc::clone(&sink) as _)
                .await
                .map_err(|source| BenchError::Receiver { address, source })?;
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

    /// The URL that the gateway is to send events to.
    pub(crate) fn receiver_url(&self) -> Option<&str> {
        self.http.as_ref().map(|(_, url, _)| url.as_str())
    }

    /// Kafka's bootstrap servers.
    pub(crate) fn brokers(&self) -> Option<&str> {
        self.brokers.as_deref()
    }

    /// What the counter at the receiver found, if there is one.
    pub(crate) fn http(&self) -> Option<&Sink> {
        self.http.as_ref().map(|(_, _, sink)| &**sink)
    }

    /// What the counter at the topic found, if there is one.
    pub(crate) fn kafka(&self) -> Option<&Sink> {
        self.kafka.as_ref().map(|(_, sink)| &**sink)
    }

    /// Whether `enough` holds for the counts of every sink that there is.
    pub(crate) fn all(&self, enough: impl Fn(SinkCounts) -> bool) -> bool {
        [self.http(), self.kafka()].into_iter().flatten().all(|sink| enough(sink.counts()))
    }
}
