//! The command `kafka`: runs a Kafka cluster in memory, which lines on stdin control.

use std::io;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use clap::Args;
use talaria_protocol::go::duration::parse_option;
use tokio::signal::ctrl_c;
use tokio::sync::mpsc;
use wrpkafka::mock::MockKafka;

use super::output::{CommandError, print_error_line, print_line};

#[derive(Debug, Args)]
pub(super) struct Options {
    /// Topic to create; may be repeated
    #[arg(long = "topic", default_value = "wrp-events")]
    topics: Vec<String>,

    /// Number of partitions of each topic
    #[arg(long, default_value_t = 12)]
    partitions: i32,

    /// Delay of each response of the broker, such as 50ms
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = parse_option)]
    latency: Duration,
}

/// A command to the running cluster, which is a line on stdin.
#[derive(Debug, PartialEq, Eq)]
enum ClusterCommand {
    Down,
    Up,
    Latency(Duration),
}

pub(super) async fn run(options: Options) -> Result<ExitCode, CommandError> {
    let cluster = MockKafka::start(options.partitions)?;
    for topic in &options.topics {
        cluster.create_topic(topic, options.partitions)?;
    }
    if !options.latency.is_zero() {
        cluster.set_latency(options.latency)?;
    }
    print_line(&cluster.brokers())?;
    print_error_line(&"enter `down`, `up` or `latency TIME`; Ctrl-C ends the cluster");
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
        match ClusterCommand::parse(&line) {
            Some(ClusterCommand::Down) => cluster.broker_down()?,
            Some(ClusterCommand::Up) => cluster.broker_up()?,
            Some(ClusterCommand::Latency(latency)) => cluster.set_latency(latency)?,
            None => {
                print_error_line(&format_args!("`{line}` is unknown: enter `down`, `up` or `latency TIME`"));
            }
        }
    }
    // stdin has ended, but the cluster stays up until Ctrl-C.
    ctrl_c().await?;
    Ok(ExitCode::SUCCESS)
}

/// The lines of stdin. A thread reads them, since that blocks; it is still waiting when the process ends.
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

impl ClusterCommand {
    fn parse(line: &str) -> Option<Self> {
        match line.split_whitespace().collect::<Vec<_>>().as_slice() {
            ["down"] => Some(Self::Down),
            ["up"] => Some(Self::Up),
            ["latency", time] => parse_option(time).ok().map(Self::Latency),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_command() {
        assert_eq!(ClusterCommand::parse(" down "), Some(ClusterCommand::Down));
        assert_eq!(ClusterCommand::parse("up"), Some(ClusterCommand::Up));
        let latency = Duration::from_millis(250);
        assert_eq!(ClusterCommand::parse("latency 250ms"), Some(ClusterCommand::Latency(latency)));
        for line in ["", "latency", "latency soon", "latency 250", "up up"] {
            assert_eq!(ClusterCommand::parse(line), None, "{line:?}");
        }
    }
}
