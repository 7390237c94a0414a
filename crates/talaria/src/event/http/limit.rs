//! How many requests a receiver gets at the same time: as many as it bears (contract §5.5).
//!
//! It works as TCP's congestion control does, in rounds of as many answers as the limit is. A round in which the limit was used
//! doubles it, until it was found too high; later it adds a sixteenth. A refusal halves the limit, once a round.
//!
//! A receiver that has more requests than it handles at the same time keeps them in a queue of its own, where devices and
//! partners take no turns. So the limit follows the knee: the fewest requests with which the receiver handles as many each second
//! as with more of them. Requests beyond the knee only wait for each other, and each of them takes longer.
//!
//! A higher latency can have two causes, so a trial decides. The mean is measured at the limit, then at three quarters of it. If
//! it has fallen as the limit has, as many requests were handled as before: they had waited, and the limit stays lower. If it
//! has not, the receiver takes that long, and the limit is as it was. There is a trial when the mean is higher than it was without
//! a queue, and from time to time, since what was taken for the latency without a queue may have had one.
//!
//! While the gateway itself has too little CPU its tasks wait for their turns, which looks like a queue at the receiver. So a round in
//! which the runtime was late decides nothing about the receiver: a trial ends without a result. The limit is raised if it was used and
//! the lateness is the cause of the latency, since some of its requests are answered already and only wait for their turns. A trial
//! never leaves fewer than a receiver gets before it is known.
//!
//! What is not used is taken back, so that a receiver that begins to hang has few requests.
//!
//! Deliberately absent: a clock, and when a receiver gets no request at all (`breaker.rs`). Start reading at [`Limit::answered`].

use std::f64::consts::SQRT_2;
use std::time::Duration;

/// The mean may be longer than without a queue by this part of it and by so many seconds.
const TOLERANCE: (f64, f64) = (0.1, 0.001);

/// Fewer answers say too little about latency.
const LEAST_FOR_TRIAL: usize = 16;

/// After so many times of the answers that the last trial took there is another one, so that trials cost little.
const TRIAL_EVERY: usize = 20;

/// The runtime is late if it is by this part (one of so many) of what an answer takes.
const LATE_PART: f64 = 8.0;

/// Answers are counted before and after the runtime is found to be late, so that more than one round is concerned.
const LATE_ROUNDS: u32 = 2;

/// A request waits so many times for the runtime: to be sent, and to be read.
const LATE_TIMES: f64 = 2.0;

/// A limit of so many requests or fewer is never lowered for want of use.
const SMALL: usize = 8;

pub(super) struct Limit {
    value: usize,
    max: usize,
    /// Up to it, the limit is doubled.
    threshold: usize,
    /// The number of the round. Answers to requests of an earlier round mean nothing any more.
    round: u32,
    sample: Sample,
    /// Whether the limit was used in this round.
    is_used: bool,
    /// For so many rounds more the latency is in part the gateway's own, which was late by so many seconds.
    late_rounds: u32,
    late: f64,
    /// The mean without a queue at the receiver, in seconds.
    unloaded: Option<f64>,
    phase: Phase,
    /// After so many answers there is a trial.
    trial_in: usize,
    /// The most requests since the last [`tick`](Self::tick).
    most_used: usize,
}

/// What a round is for.
#[derive(Clone, Copy)]
enum Phase {
    Growing,
    /// The first part of a trial.
    Measuring(Cause),
    /// The second part: the limit is lower than `value`, with which the mean was `mean`.
    Lowered {
        cause: Cause,
        mean: f64,
        value: usize,
    },
}

/// Why there is a trial.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cause {
    Slower,
    Due,
}

/// The answers of a round, in seconds.
#[derive(Clone, Copy, Default)]
struct Sample {
    answers: usize,
    sum: f64,
    squares: f64,
}

impl Limit {
    /// `max` is the highest limit.
    pub(super) fn new(max: usize) -> Self {
        Self {
            value: first(max),
            max,
            threshold: max,
            round: 0,
            sample: Sample::default(),
            is_used: false,
            late_rounds: 0,
            late: 0.0,
            unloaded: None,
            phase: Phase::Growing,
            trial_in: TRIAL_EVERY * max,
            most_used: 0,
        }
    }

    pub(super) const fn value(&self) -> usize {
        self.value
    }

    /// How long an answer takes without a queue at the receiver, in seconds; none before the first ones.
    pub(super) const fn unloaded(&self) -> Option<f64> {
        self.unloaded
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
            self.sample.add(took.as_secs_f64());
            self.is_used |= active + active / 8 >= self.value;
            if self.is_round_over() {
                self.judge();
            }
        }
    }

    /// A request of `round` was refused, or not answered.
    pub(super) fn refused(&mut self, round: u32) {
        if round == self.round {
            self.value = (self.value / 2).max(1);
            self.threshold = self.value;
            self.next_round(Phase::Growing);
        }
    }

    /// The receiver works again after it had failed: it gets one request, then two, then four.
    pub(super) fn restart(&mut self) {
        self.value = 1;
        self.threshold = (self.max / 2).max(1);
        self.next_round(Phase::Growing);
    }

    /// The runtime was late by so much.
    pub(super) fn was_late(&mut self, late: Duration) {
        let mean = if self.sample.answers > 0 { Some(self.sample.mean()) } else { self.unloaded };
        if mean.is_none_or(|mean| late.as_secs_f64() * LATE_PART >= mean) {
            self.late_rounds = LATE_ROUNDS;
            self.late = self.late.max(late.as_secs_f64());
        }
    }

    /// Called from time to time: takes back a part of what was not used since the last time.
    pub(super) fn tick(&mut self, active: usize) {
        let least = first(self.max);
        if self.most_used < self.value / 2 && self.value > least {
            self.value = (self.value - self.value / 8).max(least);
        }
        self.most_used = active;
    }

    fn is_round_over(&self) -> bool {
        let answers = self.sample.answers;
        let least = match self.phase {
            _ if self.late_rounds > 0 => return answers >= self.value,
            Phase::Growing if self.value < self.threshold => return answers >= self.value,
            Phase::Growing | Phase::Measuring(_) | Phase::Lowered { .. } => self.value.max(LEAST_FOR_TRIAL),
        };
        match self.phase {
            Phase::Growing => answers >= least,
            Phase::Measuring(_) | Phase::Lowered { .. } => {
                answers >= least && (answers >= 8 * least || self.sample.is_precise())
            }
        }
    }

    fn judge(&mut self) {
        if self.late_rounds > 0 {
            return self.end_late_round();
        }
        let (answers, mean) = (self.sample.answers, self.sample.mean());
        let error = self.sample.standard_error();
        let unloaded = match self.unloaded {
            None => mean,
            // One fast round may be chance.
            Some(unloaded) if mean + error < unloaded => unloaded - (unloaded - mean) / 4.0,
            Some(unloaded) => unloaded,
        };
        self.unloaded = Some(unloaded);
        let is_slower = mean - error > tolerated(unloaded) && answers >= LEAST_FOR_TRIAL;
        self.trial_in = self.trial_in.saturating_sub(answers);
        let phase = match self.phase {
            Phase::Lowered { value, .. } if !self.is_used => {
                self.value = value;
                Phase::Growing
            }
            _ if !self.is_used => Phase::Growing,
            Phase::Growing if is_slower => Phase::Measuring(Cause::Slower),
            Phase::Growing if self.trial_in == 0 => Phase::Measuring(Cause::Due),
            Phase::Growing => self.grow(),
            Phase::Measuring(Cause::Slower) if !is_slower => Phase::Growing,
            Phase::Measuring(cause) => self.lower(cause, mean),
            Phase::Lowered { cause, mean: before, value } => self.end_trial(cause, mean, before, value),
        };
        self.next_round(phase);
    }

    /// Ends a round whose latency says nothing about the receiver.
    fn end_late_round(&mut self) {
        let rest = self.sample.mean() - LATE_TIMES * self.late;
        let is_own = self.unloaded.is_none_or(|unloaded| rest <= tolerated(unloaded));
        self.late_rounds -= 1;
        self.late /= 2.0;
        let phase = match self.phase {
            Phase::Lowered { value, .. } => {
                self.value = value;
                Phase::Growing
            }
            Phase::Growing | Phase::Measuring(_) => Phase::Growing,
        };
        if self.is_used && is_own {
            self.raise();
        }
        self.next_round(phase);
    }

    fn grow(&mut self) -> Phase {
        if self.value < self.threshold {
            self.value = (2 * self.value).min(self.threshold);
        } else {
            self.raise();
        }
        Phase::Growing
    }

    fn raise(&mut self) {
        self.value = (self.value + (self.value / 16).max(1)).min(self.max);
    }

    /// Begins the second part of a trial.
    fn lower(&mut self, cause: Cause, mean: f64) -> Phase {
        let least = first(self.max);
        if self.value <= least {
            self.trial_in = TRIAL_EVERY * LEAST_FOR_TRIAL;
            self.unloaded = Some(mean);
            return self.grow();
        }
        let phase = Phase::Lowered { cause, mean, value: self.value };
        self.value = (self.value * 3 / 4).max(least);
        phase
    }

    /// Ends a trial: the mean is `mean`, and was `before` with a limit of `value`.
    fn end_trial(&mut self, cause: Cause, mean: f64, before: f64, value: usize) -> Phase {
        self.trial_in = TRIAL_EVERY * self.sample.answers;
        let lowered = self.value;
        if mean / before >= f64::midpoint(1.0, lowered as f64 / value as f64) {
            self.value = value;
            if cause == Cause::Slower {
                self.unloaded = Some(mean);
            }
            return Phase::Growing;
        }
        // So many are enough to handle as many as before.
        let enough = (value as f64 * mean / before).ceil() as usize;
        self.value = enough.clamp(lowered, value);
        self.threshold = self.value;
        self.unloaded = self.unloaded.map(|unloaded| unloaded.min(mean));
        // Where even this was too much, there may still be a queue.
        if enough <= lowered + lowered / 16 { self.lower(cause, mean) } else { Phase::Growing }
    }

    fn next_round(&mut self, phase: Phase) {
        self.phase = phase;
        self.round = self.round.wrapping_add(1);
        (self.sample, self.is_used) = (Sample::default(), false);
    }
}

impl Sample {
    fn add(&mut self, seconds: f64) {
        self.answers += 1;
        self.sum += seconds;
        self.squares += seconds * seconds;
    }

    fn mean(&self) -> f64 {
        self.sum / self.answers as f64
    }

    /// Of the mean.
    fn standard_error(&self) -> f64 {
        let (answers, mean) = (self.answers as f64, self.mean());
        ((self.squares / answers - mean * mean).max(0.0) / answers).sqrt()
    }

    /// Whether a mean that is an eighth lower is no chance: two standard errors of the difference of two such samples.
    fn is_precise(&self) -> bool {
        self.standard_error() * 2.0 * SQRT_2 <= self.mean() / 8.0
    }
}

/// What answers may take that take `unloaded` without a queue.
fn tolerated(unloaded: f64) -> f64 {
    unloaded * (1.0 + TOLERANCE.0) + TOLERANCE.1
}

/// What a receiver gets before it is known, and at least as long as it refuses nothing.
fn first(max: usize) -> usize {
    if max <= SMALL { max } else { (max / 4).max(SMALL) }
}

#[cfg(test)]
mod tests;
