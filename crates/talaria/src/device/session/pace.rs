//! The pauses that a device has to make: because it has exceeded its rate (`device.manager.rate`), or because everything for its
//! messages is full ([`RoomWait`]).
//!
//! A session has this only from its first message on while a rate is configured, or from its first pause on. During a pause
//! nothing is read from the socket, so that the device's own connection slows it down; writes, pings and the end of the session
//! go on.

use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use talaria_protocol::rate::{MessageBuckets, UsedUp};
use tokio::time::{Instant, Sleep};

use crate::device::back_pressure::{PERIOD, RoomWait, WaitBudget, WaitEnd};
use crate::device::config::{BeyondRate, RateLimit};

/// The shortest time between two log lines about one session.
const LINE_PERIOD: Duration = Duration::from_secs(60);

/// What a session has left of its rate.
#[derive(Debug, Default)]
pub(super) struct Pace {
    left: MessageBuckets,
    /// The client's address, if it matters.
    client: Option<IpAddr>,
    /// Whether it has to pause before its next message.
    has_to_pause: bool,
    pause: Option<Pause>,
    /// How long it may wait for room; none before the first wait.
    budget: Option<WaitBudget>,
    /// Until when it does not wait for room, because its budget is used up.
    reads_until: Option<Instant>,
    /// Pauses, or messages that were dropped, since the last log line.
    unlogged: u64,
    /// When the next line may be logged.
    next_line: Duration,
}

/// The time in which nothing is read from the device.
#[derive(Debug)]
struct Pause {
    began: Instant,
    end: Pin<Box<Sleep>>,
    cause: Cause,
    /// What the device sent after its last message, as far as it has been read.
    rest: Vec<u8>,
}

/// Why a device has to pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cause {
    Rate,
    /// Until there is room, and for some time at most.
    Room,
}

/// Whether a message is within its device's rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RateVerdict {
    /// It is handled.
    Within,
    /// It is dropped.
    Beyond,
}

/// The device has exceeded its rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Excess {
    /// The limit that is used up.
    pub(super) limit: UsedUp,
    /// What happens to it.
    pub(super) beyond: BeyondRate,
    /// The client's address, if it matters.
    pub(super) client: Option<IpAddr>,
    /// For how long it has exceeded its rate.
    pub(super) lasts: Duration,
    /// How often it exceeded its rate since the last log line, if another one is due.
    pub(super) log: Option<u64>,
}

impl From<Option<Excess>> for RateVerdict {
    fn from(excess: Option<Excess>) -> Self {
        match excess.map(|excess| excess.beyond) {
            Some(BeyondRate::Drop) => Self::Beyond,
            Some(BeyondRate::Pause) | None => Self::Within,
        }
    }
}

impl Pause {
    fn new(cause: Cause, time: Duration, rest: &[u8]) -> Self {
        Self { began: Instant::now(), end: Box::pin(tokio::time::sleep(time)), cause, rest: rest.to_vec() }
    }
}

impl Pace {
    /// A session with all of its rate left, of a client with this address.
    pub(super) fn of(client: Option<IpAddr>) -> Self {
        Self { client, ..Self::default() }
    }

    /// Takes the tokens of a message of so many bytes. Returns an excess if there were none. Then the message is dropped and
    /// takes none, or it is handled, owes its tokens, and the device has to pause before its next one: so a device that
    /// keeps to its rate never pauses.
    pub(super) fn admit(&mut self, limit: &RateLimit, bytes: usize, now: Duration) -> Option<Excess> {
        let used_up = self.left.used_up(&limit.rate, now);
        if used_up.is_none() || limit.beyond == BeyondRate::Pause {
            self.left.take(&limit.rate, bytes, now);
        }
        let (used_up, _) = used_up?;
        self.has_to_pause = limit.beyond == BeyondRate::Pause;
        let pause = if self.has_to_pause { self.wait(limit, now) } else { Duration::ZERO };
        self.unlogged += 1;
        let is_due = now >= self.next_line;
        if is_due {
            self.next_line = now + LINE_PERIOD;
        }
        Some(Excess {
            limit: used_up,
            beyond: limit.beyond,
            client: self.client,
            lasts: self.left.note_excess(now, pause),
            log: is_due.then(|| std::mem::take(&mut self.unlogged)),
        })
    }

    /// Begins the pause that the device has to make before its next message, if it has to make one; `rest` is what it has
    /// sent already. Returns how long the pause is.
    pub(super) fn begin_pause(&mut self, limit: &RateLimit, rest: &[u8], now: Duration) -> Option<Duration> {
        if !std::mem::take(&mut self.has_to_pause) {
            return None;
        }
        let wait = Some(self.wait(limit, now)).filter(|wait| !wait.is_zero())?;
        self.pause = Some(Pause::new(Cause::Rate, wait, rest));
        Some(wait)
    }

    /// Begins the wait for room; `rest` is what the device has sent already.
    pub(super) fn begin_wait(&mut self, rest: &[u8]) {
        let budget = WaitBudget::at(Instant::now(), self.budget);
        self.budget = Some(budget);
        self.pause = Some(Pause::new(Cause::Room, budget.left(), rest));
    }

    /// Whether the device may be asked to wait for room again, after its budget was used up; once.
    pub(super) fn may_wait_again(&mut self) -> bool {
        let may = self.reads_until.is_some_and(|until| Instant::now() >= until);
        if may {
            (self.reads_until, self.budget) = (None, None);
        }
        may
    }

    /// Keeps more bytes that were read during a pause; `false` if there is none.
    pub(super) fn keep_for_later(&mut self, bytes: &[u8]) -> bool {
        let Some(pause) = &mut self.pause else { return false };
        pause.rest.extend_from_slice(bytes);
        true
    }

    /// Waits for the end of the pause. Returns what was kept, none without a pause, and how the wait for room has ended.
    pub(super) fn poll_pause(
        &mut self,
        room: &RoomWait,
        cx: &mut Context<'_>,
    ) -> Poll<(Option<Vec<u8>>, Option<WaitEnd>)> {
        let Some(pause) = &mut self.pause else { return Poll::Ready((None, None)) };
        let end = match pause.cause {
            Cause::Rate => {
                ready!(pause.end.as_mut().poll(cx));
                None
            }
            Cause::Room if !room.is_waiting() => {
                let waited = pause.began.elapsed();
                if self.budget.as_mut().is_some_and(|budget| budget.spend(waited)) {
                    room.refrain();
                    self.reads_until = Some(Instant::now() + PERIOD);
                }
                Some(WaitEnd::Room)
            }
            Cause::Room => {
                ready!(pause.end.as_mut().poll(cx));
                room.give_up();
                self.reads_until = Some(Instant::now() + PERIOD);
                Some(WaitEnd::Timeout)
            }
        };
        Poll::Ready((self.end_pause(), end))
    }

    /// Ends the pause. Returns what was kept; none without a pause.
    pub(super) fn end_pause(&mut self) -> Option<Vec<u8>> {
        self.pause.take().map(|pause| pause.rest)
    }

    /// Whether the device has to pause.
    pub(super) fn is_paused(&self) -> bool {
        self.pause.is_some()
    }

    /// The memory of what was kept.
    pub(super) fn memory(&self) -> usize {
        self.pause.as_ref().map_or(0, |pause| pause.rest.capacity())
    }

    fn wait(&self, limit: &RateLimit, now: Duration) -> Duration {
        self.left.used_up(&limit.rate, now).map_or(Duration::ZERO, |(_, wait)| wait)
    }
}
