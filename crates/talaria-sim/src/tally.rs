//! Counting arrivals without a ledger: at a receiver or topic reader that runs alone and does not know what was sent.
//!
//! The sequence numbers in the events' keys show duplicates and, up to the highest number seen, what is missing.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use wrp::MessageRef;

use crate::run::RunId;
use crate::sink::{ArrivalCounter, MessageKind};

/// Sequence numbers from this one on are not tracked. It limits the memory for a run to 128 MiB, one bit per number.
const HIGHEST: u64 = 1 << 30;

/// Counts arrivals from any number of runs.
#[derive(Debug, Default)]
pub struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Numbers>,
    totals: Totals,
}

/// The counts of a [`Tally`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Different events of simulated devices.
    pub events: u64,
    /// Arrivals of events that had already arrived.
    pub duplicated: u64,
    /// Sequence numbers below the highest seen that have not arrived, of all runs: lost, or still in flight.
    pub missing: u64,
    /// Online events.
    pub online: u64,
    /// Offline events.
    pub offline: u64,
    /// Messages of other senders.
    pub other: u64,
    /// Arrivals that were not WRP messages.
    pub undecodable: u64,
}

impl Tally {
    /// The counts up to now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.0.lock().totals
    }
}

impl ArrivalCounter for Tally {
    fn count(&self, message: &MessageRef<'_>) {
        let mut state = self.0.lock();
        let State { runs, totals } = &mut *state;
        match MessageKind::of(message, None) {
            MessageKind::Event(key) if key.sequence < HIGHEST => {
                let numbers = runs.entry(key.run).or_default();
                let before = numbers.end;
                if numbers.insert(key.sequence) {
                    totals.events += 1;
                    // Numbers that this one skips are missing; this one is not, if it was.
                    totals.missing = (totals.missing + numbers.end - before).saturating_sub(1);
                } else {
                    totals.duplicated += 1;
                }
            }
            MessageKind::Online => totals.online += 1,
            MessageKind::Offline => totals.offline += 1,
            MessageKind::Event(_) | MessageKind::Other => totals.other += 1,
        }
    }

    fn count_undecodable(&self) {
        self.0.lock().totals.undecodable += 1;
    }
}

impl fmt::Display for Totals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { events, duplicated, missing, online, offline, other, undecodable } = self;
        write!(
            f,
            "events {events}, duplicated {duplicated}, missing {missing}, online {online}, offline {offline}, \
             other {other}, undecodable {undecodable}"
        )
    }
}

/// A set of numbers, with one bit for each.
#[derive(Debug, Default)]
struct Numbers {
    words: Vec<u64>,
    /// The highest number plus one.
    end: u64,
}

impl Numbers {
    /// Adds a number, and returns whether it is new.
    fn insert(&mut self, number: u64) -> bool {
        let (word, bit) = ((number / 64) as usize, 1 << (number % 64));
        if word >= self.words.len() {
            self.words.resize(word + 1, 0);
        }
        let new = self.words[word] & bit == 0;
        self.words[word] |= bit;
        self.end = self.end.max(number + 1);
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn duplicates_and_gaps_are_counted_for_each_run() {
        let tally = Tally::default();
        for (run, sequence) in [(1, 0), (1, 3), (1, 3), (1, 1), (2, 1)] {
            let key = RunId::new(run).key(sequence).to_string();
            tally.count(&MessageRef { transaction_uuid: key.as_str().into(), ..MessageRef::default() });
        }
        let totals = tally.totals();
        assert_eq!((totals.events, totals.duplicated, totals.missing), (4, 1, 2));
    }

    #[test]
    fn a_huge_sequence_number_takes_no_memory() {
        let tally = Tally::default();
        let key = RunId::new(1).key(u64::MAX >> 16).to_string();
        tally.count(&MessageRef { transaction_uuid: key.as_str().into(), ..MessageRef::default() });
        assert_eq!(tally.totals(), Totals { other: 1, ..Totals::default() });
    }
}
