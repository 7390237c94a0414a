//! Connects to one of a host's addresses: Happy Eyeballs (RFC 8305).
//!
//! The families take turns, beginning with that of the first address. An attempt that has not ended after
//! [`ATTEMPT_DELAY`] goes on while the next address is tried, and the first connection is used. So an address that does not
//! answer costs a quarter of a second, not the time limit of the event.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::time::{Instant, sleep_until};

/// RFC 8305 §5: "Connection Attempt Delay", the recommended value.
const ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// As many addresses of a host are tried, and as many sockets may be connecting at once.
const MAX_ATTEMPTS: usize = 8;

/// Connects to the addresses with `connect`, one after the other, until there is a connection.
///
/// # Errors
/// The error of the last attempt, if all failed.
pub(super) async fn connect<T, F>(
    addresses: &[IpAddr],
    port: u16,
    connect: impl Fn(SocketAddr) -> F,
) -> io::Result<T>
where
    F: Future<Output = io::Result<T>>,
{
    let mut waiting = in_turns(addresses).into_iter().take(MAX_ATTEMPTS).peekable();
    let mut attempts = FuturesUnordered::new();
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    while let Some(address) = waiting.next() {
        attempts.push(connect(SocketAddr::new(address, port)));
        let next_at = Instant::now() + ATTEMPT_DELAY;
        tokio::select! {
            Some(ended) = attempts.next() => match ended {
                Ok(connection) => return Ok(connection),
                Err(error) => last = error,
            },
            () = sleep_until(next_at), if waiting.peek().is_some() => {}
        }
    }
    while let Some(ended) = attempts.next().await {
        match ended {
            Ok(connection) => return Ok(connection),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// RFC 8305 §4: the resolver's order, but the two families take turns.
fn in_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let first_is_v6 = addresses.first().is_some_and(IpAddr::is_ipv6);
    let (first, second): (Vec<IpAddr>, Vec<IpAddr>) =
        addresses.iter().partition(|address| address.is_ipv6() == first_is_v6);
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    let mut ordered = Vec::with_capacity(addresses.len());
    loop {
        let turn = [first.next(), second.next()];
        if turn == [None, None] {
            return ordered;
        }
        ordered.extend(turn.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use parking_lot::Mutex;

    use super::*;

    /// What an address does: after so many milliseconds it accepts or refuses; none: it never answers.
    type Answers = fn(IpAddr) -> Option<(u64, bool)>;

    /// Connects to three addresses; returns the one that was connected to, the milliseconds that it took, and when each
    /// attempt began.
    async fn connected(answers: Answers) -> (Option<String>, u128, Vec<u128>) {
        let addresses: Vec<IpAddr> =
            ["2001:db8::1", "2001:db8::2", "192.0.2.1"].iter().map(|text| text.parse().unwrap()).collect();
        let (start, begun) = (Instant::now(), Mutex::new(Vec::new()));
        let attempt = |to: SocketAddr| {
            begun.lock().push(start.elapsed().as_millis());
            async move {
                let Some((millis, accepts)) = answers(to.ip()) else { return pending().await };
                tokio::time::sleep(Duration::from_millis(millis)).await;
                if accepts { Ok(to.ip()) } else { Err(io::ErrorKind::ConnectionRefused.into()) }
            }
        };
        let connected = connect(&addresses, 80, attempt).await;
        (connected.ok().map(|address| address.to_string()), start.elapsed().as_millis(), begun.into_inner())
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_answers_is_the_only_one_that_is_tried() {
        assert_eq!(connected(|_| Some((200, true))).await, (Some("2001:db8::1".to_owned()), 200, vec![0]));
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_that_does_not_answer_costs_250_ms_and_the_other_family_is_next() {
        let silent_v6: Answers = |to| to.is_ipv4().then_some((10, true));
        assert_eq!(connected(silent_v6).await, (Some("192.0.2.1".to_owned()), 260, vec![0, 250]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_starts_the_next_attempt_at_once() {
        let refusing: Answers = |to| Some((5, to.to_string().ends_with("::2")));
        assert_eq!(connected(refusing).await, (Some("2001:db8::2".to_owned()), 15, vec![0, 5, 10]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_still_counts_while_others_are_tried() {
        let slow: Answers = |to| to.to_string().ends_with("::1").then_some((600, true));
        assert_eq!(connected(slow).await, (Some("2001:db8::1".to_owned()), 600, vec![0, 250, 500]));
    }

    #[tokio::test(start_paused = true)]
    async fn if_all_refuse_there_is_an_error() {
        assert_eq!(connected(|_| Some((5, false))).await, (None, 15, vec![0, 5, 10]));
    }
}
