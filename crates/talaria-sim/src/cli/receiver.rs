//! `talaria-sim receiver`

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use talaria_sim::kafka::KafkaReader;
use talaria_sim::process;
use talaria_sim::receiver::Receiver;
use talaria_sim::tally::Tally;
use tokio::signal::ctrl_c;
use tokio::time::interval;

use super::{Failure, say};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,

    /// What to answer
    #[arg(long, default_value = "202")]
    status: StatusCode,

    /// Milliseconds to wait before answering
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency: u64,

    /// Read Kafka at these brokers as well
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Option<String>,

    /// The topic to read
    #[arg(long, default_value = "wrp-events")]
    topic: String,
}

pub(super) async fn run(options: Options) -> Result<ExitCode, Failure> {
    process::raise_open_files()?;
    let http = Arc::new(Tally::default());
    let receiver = Receiver::bind(options.listen, Arc::clone(&http) as _)
        .await
        .map_err(|error| format!("cannot listen at {}: {error}", options.listen))?;
    receiver.set_answer(options.status, Duration::from_millis(options.latency));
    say(&format_args!("receiving at {}", receiver.url()))?;

    let topic = Arc::new(Tally::default());
    let reader = match &options.kafka {
        Some(brokers) => Some(KafkaReader::start(brokers, &options.topic, Arc::clone(&topic) as _).await?),
        None => None,
    };
    let mut ticks = interval(Duration::from_secs(1));
    let mut told = (http.totals(), topic.totals());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            signal = ctrl_c() => {
                signal?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        let now = (http.totals(), topic.totals());
        if now != told {
            say(&format_args!("http   {}", now.0))?;
            if reader.is_some() {
                say(&format_args!("kafka  {}", now.1))?;
            }
            told = now;
        }
    }
}
