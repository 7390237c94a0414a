//! The load process itself: it connects devices, sends their events and counts acknowledgements, as it is ordered.

use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep};

use super::protocol::{Answer, Assignment, Order, Sent};
use crate::bench::open_loop::{self, Schedule};
use crate::fleet::{self, Fleet, SendError, Target};
use crate::ledger::{End, Ends, Ledger};
use crate::traffic::{QosMix, Traffic};

/// The time limit for the devices' connections to close at the end.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);

/// The time in which duplicates of acknowledgements may arrive after the last one.
const LATE_ARRIVALS: Duration = Duration::from_secs(1);

/// The interval of the checks whether all acknowledgements have arrived.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Serves the benchmark that has started this process, until it closes stdin.
///
/// # Errors
/// If stdin and stdout are not pipes, or a line is not what the benchmark writes.
pub async fn serve_stdio() -> io::Result<()> {
    let input = pipe::Receiver::from_owned_fd(io::stdin().as_fd().try_clone_to_owned()?)?;
    let output = pipe::Sender::from_owned_fd(io::stdout().as_fd().try_clone_to_owned()?)?;
    serve(input, output).await
}

/// Carries out the orders on `input`, of which the first line is the assignment, and writes the answers to `output`.
pub(super) async fn serve(
    input: impl AsyncRead + Unpin,
    mut output: impl AsyncWrite + Unpin,
) -> io::Result<()> {
    let mut lines = BufReader::new(input).lines();
    let Some(line) = lines.next_line().await? else { return Ok(()) };
    let mut load = Load::new(&serde_json::from_str(&line)?);
    while let Some(line) = lines.next_line().await? {
        let answer = load.carry_out(serde_json::from_str(&line)?).await;
        let answer = serde_json::to_string(&answer)? + "\n";
        output.write_all(answer.as_bytes()).await?;
    }
    Ok(())
}

/// The devices, and what they have sent.
struct Load {
    fleet: Arc<Fleet>,
    ledger: Arc<Ledger>,
    traffic: Traffic,
    give_up: Duration,
}

impl Load {
    fn new(assignment: &Assignment) -> Self {
        let Assignment { gateway, run, devices, connecting, event_bytes, qos, give_up } = *assignment;
        let ledger = Arc::new(Ledger::new(run, Ends::NONE.with(End::Ack, true)));
        let config =
            fleet::Config { connecting, reconnect: None, ..fleet::Config::new(Target::at(gateway), devices) };
        let fleet = Arc::new(Fleet::new(config, Arc::clone(&ledger)));
        let traffic = Traffic::new(Arc::clone(&fleet), Arc::clone(&ledger), event_bytes, QosMix::Fixed(qos));
        Self { fleet, ledger, traffic, give_up }
    }

    async fn carry_out(&mut self, order: Order) -> Answer {
        match order {
            Order::Connect(devices) => Answer::Connected(self.fleet.connect(devices, || ()).await),
            Order::Send(schedule) => match self.send(schedule).await {
                Ok(sent) => Answer::Sent(Box::new(sent)),
                Err(error) => Answer::Failed(error.to_string()),
            },
            Order::Stop => Answer::Stopped { cut: self.fleet.stop(STOP_TIMEOUT).await },
        }
    }

    /// Sends events, and waits until all are acknowledged or given up.
    async fn send(&mut self, schedule: Schedule) -> Result<Sent, SendError> {
        let started = Instant::now();
        open_loop::send(&mut self.traffic, schedule)?;
        let seconds = started.elapsed().as_secs_f64();
        let deadline = Instant::now() + self.give_up;
        while self.ledger.counts().ack.lost_assured() > 0 && Instant::now() < deadline {
            sleep(POLL_INTERVAL).await;
        }
        sleep(LATE_ARRIVALS).await;
        Ok(Sent {
            seconds,
            counts: self.ledger.counts(),
            devices: self.fleet.snapshot(),
            ack_latency: self.fleet.recent_ack_latency(),
        })
    }
}
