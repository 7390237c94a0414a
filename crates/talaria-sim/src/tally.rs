//! Counts what arrives where nobody knows what was sent: at a receiver or a topic reader that runs by itself.
//!
//! The numbers in the events' keys tell duplicates and, up to the highest seen, what is missing.

use std::collections::BTreeMap;
use std::fmt;

use parking_lot::Mutex;
use wrp::MessageRef;

use crate::run::RunId;
use crate::sink::{Arrivals, Kind};

/// The highest sequence number that is told apart: 128 MiB of bits a run.
const HIGHEST: u64 = 1 << 30;

/// A count of all that has arrived.
#[derive(Debug, Default)]
pub struct Tally(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    runs: BTreeMap<RunId, Numbers>,
    totals: Totals,
}

/// What a tally comes to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Different events of simulated devices.
    pub events: u64,
    /// Events that had arrived before.
    pub duplicated: u64,
    /// Numbers below the highest seen that have not arrived, over all runs: lost, or still on their way.
    pub missing: u64,
    /// Online events.
    pub online: u64,
    /// Offline events.
    pub offline: u64,
    /// Messages of other senders.
    pub other: u64,
    /// What was no WRP message.
    pub undecodable: u64,
}

impl Tally {
    /// The counts up to now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        self.0.lock().totals
    }
}

impl Arrivals for Tally {
    fn message(&self, message: &MessageRef<'_>) {
        let mut state = self.0.lock();
        let State { runs, totals } = &mut *state;
        match Kind::of(message, None) {
            Kind::Event(key) if key.sequence < HIGHEST => {
                let numbers = runs.entry(key.run).or_default();
                let before = numbers.end;
                if numbers.insert(key.sequence) {
                    totals.events += 1;
                    // the numbers skipped are missing; this one no longer is
                    totals.missing = (totals.missing + numbers.end - before).saturating_sub(1);
                } else {
                    totals.duplicated += 1;
                }
            }
            Kind::Online => totals.online += 1,
            Kind::Offline => totals.offline += 1,
            Kind::Event(_) | Kind::Other => totals.other += 1,
        }
    }

    fn undecodable(&self) {
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

/// A set of numbers, a bit each.
#[derive(Debug, Default)]
struct Numbers {
    words: Vec<u64>,
    /// One above the highest.
    end: u64,
}

impl Numbers {
    /// Whether it was not in here before.
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
    fn duplicates_and_gaps_are_told_for_each_run() {
        let tally = Tally::default();
        for (run, sequence) in [(1, 0), (1, 3), (1, 3), (1, 1), (2, 1)] {
            let key = RunId::new(run).key(sequence).to_string();
            tally.message(&MessageRef { transaction_uuid: key.as_str().into(), ..MessageRef::default() });
        }
        let totals = tally.totals();
        assert_eq!((totals.events, totals.duplicated, totals.missing), (4, 1, 2));
    }

    #[test]
    fn an_absurd_number_takes_no_memory() {
        let tally = Tally::default();
        let key = RunId::new(1).key(u64::MAX >> 16).to_string();
        tally.message(&MessageRef { transaction_uuid: key.as_str().into(), ..MessageRef::default() });
        assert_eq!(tally.totals(), Totals { other: 1, ..Totals::default() });
    }
}
