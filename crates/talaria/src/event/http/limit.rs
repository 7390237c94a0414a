//! How many requests a receiver gets at the same time: as many as it bears (contract §5.5).
//!
//! It works as TCP's congestion control does, in rounds of as many answers as the limit is. A round in which the limit was used
//! doubles it, until a request was refused; later it adds one. A refusal halves the limit, once a round.
//!
//! Latency decides by trial, because a higher one can have two causes. When the mean of a round is more than twice the lowest one,
//! the limit is lowered by a quarter for a round. If that makes the answers faster, requests waited for each other at the receiver,
//! and the lower limit stays. If not, the receiver takes that long, and the limit is as it was before.
//!
//! What is not used is taken back, so that a receiver that begins to hang has few requests.
//!
//! Deliberately absent: a clock, and when a receiver gets no request at all (`breaker.rs`).

use std::time::Duration;

/// What a higher mean has to be above twice the lowest one, so that small differences mean nothing.
const TOLERANCE: Duration = Duration::from_millis(5);

/// A round with fewer answers says too little about latency.
const LEAST_FOR_TRIAL: usize = 16;

/// A limit of so many requests or fewer is never lowered for want of use.
const SMALL: usize = 8;

pub(super) struct Limit {
    value: usize,
    max: usize,
    /// Up to it, the limit is doubled, above it raised by one.
    threshold: usize,
    /// The number of the round. Answers to requests of an earlier round mean nothing any more.
    round: u32,
    answers: usize,
    time: Duration,
    /// Whether the limit was used in this round.
    is_used: bool,
    /// The lowest mean of a round.
    lowest: Option<Duration>,
    trial: Option<Trial>,
    /// The most requests since the last [`tick`](Self::tick).
    most_used: usize,
}

/// A round with a lower limit.
struct Trial {
    /// The mean and the limit of the round before.
    mean: Duration,
    value: usize,
}

impl Limit {
    /// `max` is the highest limit.
    pub(super) fn new(max: usize) -> Self {
        Self {
            value: first(max),
            max,
            threshold: max,
            round: 0,
            answers: 0,
            time: Duration::ZERO,
            is_used: false,
            lowest: None,
            trial: None,
            most_used: 0,
        }
    }

    pub(super) const fn value(&self) -> usize {
        self.value
    }

    /// Whether one more request may start when `active` run.
    pub(super) const fn allows(&self, active: usize) -> bool {
        active < self.value
    }

    /// A request starts; with it, `active` run. Returns its round.
    pub(super) fn started(&mut self, active: usize) -> u32 {
        self.most_used = self.most_used.max(active);
        self.round
    }

    /// A request of `round` was answered after `took`, when `active` requests ran.
    pub(super) fn answered(&mut self, round: u32, took: Duration, active: usize) {
        if round == self.round {
            self.answers += 1;
            self.time += took;
            self.is_used |= active + active / 8 >= self.value;
            if self.answers >= self.value {
                self.judge();
            }
        }
    }

    /// A request of `round` was refused, or not answered.
    pub(super) fn refused(&mut self, round: u32) {
        if round == self.round {
            self.value = (self.value / 2).max(1);
            self.threshold = self.value;
            self.trial = None;
            self.next_round();
        }
    }

    /// The receiver works again after it had failed: it gets one request, then two, then four.
    pub(super) fn restart(&mut self) {
        self.value = 1;
        self.threshold = (self.max / 2).max(1);
        self.trial = None;
        self.next_round();
    }

    /// Called from time to time: takes back a part of what was not used since the last time.
    pub(super) fn tick(&mut self, active: usize) {
        let least = first(self.max);
        if self.most_used < self.value / 2 && self.value > least {
            self.value = (self.value - self.value / 8).max(least);
        }
        self.most_used = active;
    }

    /// Ends a round.
    fn judge(&mut self) {
        let mean = self.time / u32::try_from(self.answers).unwrap_or(u32::MAX);
        let lowest = self.lowest.map_or(mean, |lowest| lowest.min(mean));
        self.lowest = Some(lowest);
        match self.trial.take() {
            Some(Trial { mean: before, .. }) if mean < before.mul_f32(0.9) => self.threshold = self.value,
            Some(Trial { value, .. }) => {
                self.value = value;
                self.lowest = Some(mean);
            }
            None if !self.is_used => {}
            None if self.answers >= LEAST_FOR_TRIAL && mean > 2 * lowest + TOLERANCE => {
                self.trial = Some(Trial { mean, value: self.value });
                self.value = self.value * 3 / 4;
            }
            None if self.value < self.threshold => self.value = (2 * self.value).min(self.threshold),
            None => self.value = (self.value + 1).min(self.max),
        }
        self.next_round();
    }

    fn next_round(&mut self) {
        self.round = self.round.wrapping_add(1);
        (self.answers, self.time, self.is_used) = (0, Duration::ZERO, false);
    }
}

/// What a receiver gets before it is known, and at least as long as it refuses nothing.
fn first(max: usize) -> usize {
    if max <= SMALL { max } else { (max / 4).max(SMALL) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs `rounds` times as many requests as the limit allows, all at the same time.
    fn busy(limit: &mut Limit, rounds: usize, took: impl Fn(usize) -> Duration) {
        for _ in 0..rounds {
            let active = limit.value();
            let round = limit.started(active);
            (0..active).for_each(|_| limit.answered(round, took(active), active));
        }
    }

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn it_doubles_each_round_up_to_its_maximum_and_is_halved_by_a_refusal_once_a_round() {
        let mut limit = Limit::new(100);
        assert_eq!(limit.value(), 25);
        busy(&mut limit, 1, |_| millis(100));
        assert_eq!(limit.value(), 50);
        busy(&mut limit, 2, |_| millis(100));
        assert_eq!(limit.value(), 100);
        let round = limit.started(100);
        (0..100).for_each(|_| limit.refused(round));
        assert_eq!(limit.value(), 50);
        busy(&mut limit, 1, |_| millis(100));
        assert_eq!(limit.value(), 51, "from now on by one a round");
    }

    #[test]
    fn a_receiver_that_worked_again_gets_one_request_and_then_twice_as_many_each_round() {
        let mut limit = Limit::new(100);
        limit.restart();
        assert!(limit.allows(0) && !limit.allows(1));
        busy(&mut limit, 5, |_| millis(1));
        assert_eq!(limit.value(), 32);
    }

    #[test]
    fn what_is_not_used_is_taken_back() {
        let mut limit = Limit::new(100);
        busy(&mut limit, 5, |_| millis(100));
        for _ in 0..50 {
            limit.started(3);
            limit.tick(3);
        }
        assert_eq!(limit.value(), 25);
    }

    #[test]
    fn requests_that_wait_for_each_other_at_the_receiver_become_fewer() {
        let mut limit = Limit::new(100);
        // It handles ten at the same time, each in 10 ms.
        let took = |active: usize| millis(active as u64).max(millis(10));
        for _ in 0..20 {
            let round = limit.started(1);
            limit.answered(round, took(1), 1);
        }
        busy(&mut limit, 40, took);
        let value = limit.value();
        assert!((10..=40).contains(&value), "{value}");
    }

    #[test]
    fn a_receiver_that_is_slow_for_itself_keeps_its_requests() {
        let mut limit = Limit::new(100);
        busy(&mut limit, 10, |_| millis(5));
        busy(&mut limit, 10, |_| millis(2000));
        assert_eq!(limit.value(), 100);
    }
}
