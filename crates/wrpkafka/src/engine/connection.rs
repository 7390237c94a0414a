//! How the publisher stands with its brokers, and which changes of that are logged (contract §8.17, §14.34).
//!
//! The client reports much: each failed attempt of each connection, and guesses at what they mean. What an operator has to
//! know is little: since when no records leave, why, and that it is over. [`ConnectionState`] makes one out of the other.
//! Time is passed in; the log lines are written in `clients.rs`.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::client::events::Certainty;
use crate::connection_failure::ConnectionFailure;

/// The changes of state that are logged in a period. Brokers that come and go every second must not fill the log.
const CHANGES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(60);

/// Brokers that have been reached again get so long to acknowledge what has waited for them.
const PATIENCE: Duration = Duration::from_secs(5);

/// What shows that brokers can be worked with again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    /// A connection is open.
    Connected,
    /// A record was acknowledged.
    Delivered,
}

/// The state of the newest client. What older clients report is ignored.
#[derive(Debug, Default)]
pub(super) struct ConnectionState {
    current: Mutex<Current>,
    /// Whether the current client is known to work: read for every record that is delivered.
    is_reached: AtomicBool,
}

#[derive(Debug, Default)]
struct Current {
    client: u64,
    /// Whether a broker has ever let this client in. Then an ended connection says nothing about its settings.
    was_let_in: bool,
    /// Whether the last attempt to open a connection failed, since the cause was found.
    not_opened_since: bool,
    away: Option<Away>,
    /// When brokers were reached after the last failure.
    returned: Option<Instant>,
    log: LogBudget,
}

/// Why no records leave, and since when.
#[derive(Debug, Clone, Copy)]
struct Away {
    cause: ConnectionFailure,
    certainty: Certainty,
    since: Instant,
    /// Whether the client held records when its connections ended: a broker may have written them.
    held_records: bool,
}

/// A change of state that is to be logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Change {
    /// How long no records have left.
    pub(super) lasted: Duration,
    /// The changes before this one that were not logged.
    pub(super) suppressed: u64,
}

/// The end of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Recovery {
    /// What ended; none if brokers were reached for the first time.
    pub(super) cause: Option<ConnectionFailure>,
    /// None if it is not to be logged.
    pub(super) change: Option<Change>,
}

/// Admits so many changes in a period, and counts the others.
#[derive(Debug, Default)]
struct LogBudget {
    began: Option<Instant>,
    used: u32,
    suppressed: u64,
}

impl ConnectionState {
    /// Counts only this client's reports from now on.
    pub(super) fn follow(&self, client: u64) {
        let mut current = self.current.lock();
        let log = std::mem::take(&mut current.log);
        *current = Current { client, log, ..Current::default() };
        self.is_reached.store(false, Ordering::Relaxed);
    }

    /// Notes a client's failure, which began at `began`. Returns the change, if it is one that is to be logged.
    pub(super) fn failed(
        &self,
        client: u64,
        cause: ConnectionFailure,
        certainty: Certainty,
        holds_records: bool,
        began: Instant,
        now: Instant,
    ) -> Option<Change> {
        let mut current = self.current.lock();
        if client != current.client || !current.is_news(cause, certainty, now) {
            return None;
        }
        if cause.is_rejection() {
            current.not_opened_since = false;
        }
        let before = current.away;
        let since = before.map_or(began, |away| away.since);
        let held_records = before.map_or(holds_records, |away| away.held_records);
        current.away = Some(Away { cause, certainty, since, held_records });
        self.is_reached.store(false, Ordering::Relaxed);
        if before.is_some_and(|away| away.cause == cause) {
            return None;
        }
        current
            .log
            .admit(now)
            .map(|suppressed| Change { lasted: now.saturating_duration_since(since), suppressed })
    }

    /// Notes that a connection could not be opened, which is no failure yet: another broker may be there.
    pub(super) fn not_opened(&self, client: u64) {
        let mut current = self.current.lock();
        if client == current.client {
            current.not_opened_since = true;
        }
    }

    /// Notes that a client works with a broker. Returns the failure that ends with it, or that it is the first time.
    pub(super) fn reached(&self, client: u64, evidence: Evidence, now: Instant) -> Option<Recovery> {
        let mut current = self.current.lock();
        let acknowledges_nothing =
            current.away.is_some_and(|away| away.cause == ConnectionFailure::Unacknowledged);
        if client != current.client || (acknowledges_nothing && evidence == Evidence::Connected) {
            return None;
        }
        self.is_reached.store(true, Ordering::Relaxed);
        current.not_opened_since = false;
        let is_first = !std::mem::replace(&mut current.was_let_in, true);
        let away = current.away.take();
        if away.is_some() {
            current.returned = Some(now);
        }
        if away.is_none() && !is_first {
            return None;
        }
        let since = away.map_or(now, |away| away.since);
        let change = current.log.admit(now).map(|suppressed| Change { lasted: now - since, suppressed });
        Some(Recovery { cause: away.map(|away| away.cause), change })
    }

    /// Whether nothing has to be noted when the client delivers a record.
    pub(super) fn is_reached(&self) -> bool {
        self.is_reached.load(Ordering::Relaxed)
    }

    /// The client whose reports count.
    pub(super) fn client(&self) -> u64 {
        self.current.lock().client
    }

    /// What keeps records from leaving.
    pub(super) fn failure(&self) -> Option<ConnectionFailure> {
        self.current.lock().away.map(|away| away.cause)
    }

    /// Whether the current client cannot deliver what it holds, however long it is waited for: its settings are refused,
    /// or no broker is there and none can have got a record that it holds.
    pub(super) fn cannot_drain(&self) -> bool {
        self.current.lock().away.is_some_and(|away| match away.cause {
            ConnectionFailure::Unacknowledged => false,
            ConnectionFailure::Unreachable => !away.held_records,
            _ => away.certainty == Certainty::Known || !away.held_records,
        })
    }

    /// Whether a broker has let the current client in.
    pub(super) fn has_been_reached(&self) -> bool {
        self.current.lock().was_let_in
    }
}

impl Current {
    /// Whether a cause says more than what is known.
    fn is_news(&self, cause: ConnectionFailure, certainty: Certainty, now: Instant) -> bool {
        if certainty == Certainty::Guessed && self.was_let_in {
            return false;
        }
        let Some(known) = self.away else {
            let has_just_returned =
                self.returned.is_some_and(|returned| now.saturating_duration_since(returned) < PATIENCE);
            return cause != ConnectionFailure::Unacknowledged || !has_just_returned;
        };
        if cause == ConnectionFailure::Unreachable {
            // That all brokers are down follows from each rejection. It is news where connections are not even opened.
            return match known.certainty {
                Certainty::Known => !known.cause.is_rejection(),
                Certainty::Guessed => self.not_opened_since,
            };
        }
        if cause == ConnectionFailure::Unacknowledged {
            return false;
        }
        certainty >= known.certainty || !known.cause.is_rejection()
    }
}

impl LogBudget {
    /// If a change is to be logged now: how many were not since the last one that was.
    fn admit(&mut self, now: Instant) -> Option<u64> {
        if self.began.is_none_or(|began| now.saturating_duration_since(began) >= PERIOD) {
            (self.began, self.used) = (Some(now), 0);
        }
        if self.used >= CHANGES {
            self.suppressed += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::ConnectionFailure::{Credentials, Protocol, Unacknowledged, Unreachable};
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn change(lasted: u32) -> Option<Change> {
        Some(Change { lasted: lasted * SECOND, suppressed: 0 })
    }

    fn recovery(cause: Option<ConnectionFailure>, lasted: u32) -> Option<Recovery> {
        Some(Recovery { cause, change: change(lasted) })
    }

    #[test]
    fn each_change_is_told_once_also_the_second_within_a_minute() {
        let state = ConnectionState::default();
        let start = Instant::now();
        assert_eq!(state.reached(0, Evidence::Connected, start), recovery(None, 0), "the first contact");
        assert_eq!(state.reached(0, Evidence::Delivered, start), None);
        for death in 0..2 {
            let at = start + death * 10 * SECOND;
            assert_eq!(
                state.failed(0, Unreachable, Certainty::Known, true, at, at),
                change(0),
                "death {death}"
            );
            assert_eq!(
                state.failed(0, Unreachable, Certainty::Known, true, at + SECOND, at + SECOND),
                None,
                "the same"
            );
            let over = state.reached(0, Evidence::Delivered, at + 5 * SECOND);
            assert_eq!(over, recovery(Some(Unreachable), 5));
        }
    }

    #[test]
    fn what_was_noticed_late_has_lasted_since_it_began() {
        let state = ConnectionState::default();
        let start = Instant::now();
        state.reached(0, Evidence::Delivered, start);
        let noticed = start + 5 * SECOND;
        assert_eq!(state.failed(0, Unacknowledged, Certainty::Known, true, start, noticed), change(5));
        assert_eq!(
            state.reached(0, Evidence::Delivered, start + 12 * SECOND),
            recovery(Some(Unacknowledged), 12)
        );
    }

    #[test]
    fn a_client_that_was_let_in_is_not_refused_because_a_connection_ended() {
        let state = ConnectionState::default();
        let now = Instant::now();
        assert_eq!(
            state.failed(0, Protocol, Certainty::Guessed, true, now, now),
            change(0),
            "it never was let in"
        );
        state.reached(0, Evidence::Connected, now);
        assert_eq!(state.failed(0, Protocol, Certainty::Guessed, true, now, now), None);
        assert_eq!(state.failure(), None);
        assert_eq!(
            state.failed(0, Credentials, Certainty::Known, true, now, now),
            change(0),
            "the password was changed"
        );
    }

    #[test]
    fn a_plainer_finding_replaces_an_earlier_one() {
        let state = ConnectionState::default();
        let start = Instant::now();
        state.failed(0, Protocol, Certainty::Guessed, true, start, start);
        assert_eq!(
            state.failed(0, Unreachable, Certainty::Known, true, start, start),
            None,
            "it follows from the guess"
        );
        state.not_opened(0);
        let later = start + SECOND;
        assert_eq!(
            state.failed(0, Unreachable, Certainty::Known, true, later, later),
            change(1),
            "nothing listens"
        );
        assert_eq!(state.failed(0, Credentials, Certainty::Known, true, later, later), change(1));
        state.not_opened(0);
        assert_eq!(
            state.failed(0, Unreachable, Certainty::Known, true, later, later),
            None,
            "one of several is away"
        );
        assert_eq!(state.failure(), Some(Credentials));
    }

    #[test]
    fn brokers_that_have_just_returned_get_time_to_acknowledge() {
        let state = ConnectionState::default();
        let start = Instant::now();
        state.reached(0, Evidence::Delivered, start);
        state.failed(0, Unreachable, Certainty::Known, true, start, start);
        let back = start + 60 * SECOND;
        state.reached(0, Evidence::Connected, back);
        let unacknowledged = |now| state.failed(0, Unacknowledged, Certainty::Known, true, start, now);
        assert_eq!(unacknowledged(back + SECOND), None);
        assert_eq!(state.failure(), None);
        assert_eq!(unacknowledged(back + PATIENCE), change(65));
    }

    #[test]
    fn only_an_acknowledgement_ends_that_there_are_none() {
        let state = ConnectionState::default();
        let now = Instant::now();
        state.reached(0, Evidence::Connected, now);
        assert_eq!(state.failed(0, Unacknowledged, Certainty::Known, true, now, now), change(0));
        assert_eq!(state.reached(0, Evidence::Connected, now), None);
        assert_eq!(
            state.failed(0, Unreachable, Certainty::Known, true, now + SECOND, now + SECOND),
            change(1),
            "it says more"
        );
        assert_eq!(
            state.failed(0, Unacknowledged, Certainty::Known, true, now + SECOND, now + SECOND),
            None,
            "it says less"
        );
        assert_eq!(state.reached(0, Evidence::Delivered, now + SECOND), recovery(Some(Unreachable), 1));
    }

    #[test]
    fn brokers_that_come_and_go_do_not_fill_the_log() {
        let state = ConnectionState::default();
        let start = Instant::now();
        let lines = (0..100).filter(|_| {
            let failed = state.failed(0, Unreachable, Certainty::Known, true, start, start).is_some();
            state.reached(0, Evidence::Delivered, start).is_some_and(|over| over.change.is_some()) | failed
        });
        assert_eq!(lines.count(), CHANGES as usize / 2);
        let later = start + PERIOD;
        let told = state
            .failed(0, Unreachable, Certainty::Known, true, later, later)
            .map(|change| change.suppressed);
        assert_eq!(told, Some(200 - u64::from(CHANGES)));
    }

    #[test]
    fn only_the_newest_clients_reports_count() {
        let state = ConnectionState::default();
        let now = Instant::now();
        state.failed(0, Credentials, Certainty::Known, true, now, now);
        state.follow(1);
        assert_eq!(state.failure(), None);
        assert_eq!(state.failed(0, Credentials, Certainty::Known, true, now, now), None);
        assert_eq!(state.failed(1, Credentials, Certainty::Known, true, now, now), change(0));
        assert_eq!(state.reached(0, Evidence::Delivered, now), None, "the old one's last answers");
    }

    #[test]
    fn a_client_is_waited_for_only_if_that_can_help() {
        for (cause, certainty, holds_records, cannot_drain) in [
            (Credentials, Certainty::Known, true, true),
            (Protocol, Certainty::Guessed, true, false),
            (Protocol, Certainty::Guessed, false, true),
            (Unreachable, Certainty::Known, true, false),
            (Unreachable, Certainty::Known, false, true),
            (Unacknowledged, Certainty::Known, true, false),
        ] {
            let state = ConnectionState::default();
            assert!(!state.cannot_drain());
            let now = Instant::now();
            state.failed(0, cause, certainty, holds_records, now, now);
            assert_eq!(state.cannot_drain(), cannot_drain, "{cause:?} {certainty:?} {holds_records}");
        }
    }
}
