//! The command `receiver`: receives events by HTTP and from Kafka, and prints their counts when they change.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use http::StatusCode;
use talaria_protocol::go::duration::parse_option;
use talaria_sim::kafka::KafkaReader;
use talaria_sim::process;
use talaria_sim::receiver::Receiver;
use talaria_sim::tally::Tally;
use tokio::signal::ctrl_c;
use tokio::time::interval;

use super::output::{CommandError, print_line};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Address to listen at
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,

    /// Status of the answers
    #[arg(long, default_value = "202")]
    status: StatusCode,

    /// Delay of each answer, such as 50ms
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_option)]
    latency: Duration,

    /// Also read events from Kafka at these brokers
    #[arg(long, value_name = "HOST:PORT,...")]
    kafka: Option<String>,

    /// The Kafka topic of the events
    #[arg(long, default_value = "wrp-events")]
    topic: String,
}

pub(super) async fn run(options: Options) -> Result<ExitCode, CommandError> {
    process::raise_open_files()?;
    let http = Arc::new(Tally::default());
    let receiver = Receiver::bind(options.listen, Arc::clone(&http) as _)
        .await
        .map_err(|error| format!("cannot listen at {}: {error}", options.listen))?;
    receiver.set_answer(options.status, options.latency);
    print_line(&format_args!("receiving at {}", receiver.url()))?;

    let topic = Arc::new(Tally::default());
    let reader = match &options.kafka {
        Some(brokers) => Some(KafkaReader::start(brokers, &options.topic, Arc::clone(&topic) as _).await?),
        None => None,
    };
    let mut ticks = interval(Duration::from_secs(1));
    let mut printed = (http.totals(), topic.totals());
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            signal = ctrl_c() => {
                signal?;
                return Ok(ExitCode::SUCCESS);
            }
        }
        let now = (http.totals(), topic.totals());
        if now != printed {
            print_line(&format_args!("http   {}", now.0))?;
            if reader.is_some() {
                print_line(&format_args!("kafka  {}", now.1))?;
            }
            printed = now;
        }
    }
}
