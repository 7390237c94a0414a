//! `talaria-sim kafka`

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use tokio::signal::ctrl_c;
use tokio::sync::mpsc;
use wrpkafka::mock::MockKafka;

use super::{Failure, say, tell};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// The topics to create; may be repeated
    #[arg(long = "topic", default_value = "wrp-events")]
    topics: Vec<String>,

    /// How many partitions each topic has
    #[arg(long, default_value_t = 12)]
    partitions: i32,

    /// Milliseconds that every answer of the broker takes
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    latency: u64,
}

/// What can be said to a running cluster, a line each, on stdin.
#[derive(Debug, PartialEq, Eq)]
enum Order {
    Down,
    Up,
    Latency(Duration),
}

pub(super) async fn run(options: Options) -> Result<ExitCode, Failure> {
    let cluster = MockKafka::start(options.partitions)?;
    for topic in &options.topics {
        cluster.create_topic(topic, options.partitions)?;
    }
    if options.latency > 0 {
        cluster.set_latency(Duration::from_millis(options.latency))?;
    }
    say(&cluster.brokers())?;
    tell(&"say `down`, `up` or `latency MILLISECONDS`; Ctrl-C ends");
    let mut lines = lines_of_stdin();
    loop {
        let line = tokio::select! {
            line = lines.recv() => line,
            signal = ctrl_c() => {
                signal?;
                return Ok(ExitCode::SUCCESS);
            }
        };
        let Some(line) = line else { break };
        match Order::parse(&line) {
            Some(Order::Down) => cluster.broker_down()?,
            Some(Order::Up) => cluster.broker_up()?,
            Some(Order::Latency(latency)) => cluster.set_latency(latency)?,
            None => tell(&format_args!("`{line}` is none of `down`, `up`, `latency MILLISECONDS`")),
        }
    }
    // nobody talks to it any more, but it is still of use
    ctrl_c().await?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of stdin as they come. A thread of its own waits for them, and is left behind waiting at the end.
fn lines_of_stdin() -> mpsc::Receiver<String> {
    let (sender, receiver) = mpsc::channel(1);
    thread::spawn(move || {
        for line in io::stdin().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

impl Order {
    fn parse(line: &str) -> Option<Self> {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["down"] => Some(Order::Down),
            ["up"] => Some(Order::Up),
            ["latency", millis] => {
                millis.parse().ok().map(|millis| Order::Latency(Duration::from_millis(millis)))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read_from_lines() {
        assert_eq!(Order::parse(" down "), Some(Order::Down));
        assert_eq!(Order::parse("up"), Some(Order::Up));
        assert_eq!(Order::parse("latency 250"), Some(Order::Latency(Duration::from_millis(250))));
        for line in ["", "latency", "latency soon", "up up"] {
            assert_eq!(Order::parse(line), None, "{line:?}");
        }
    }
}
