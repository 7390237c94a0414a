//! The limit of single rounds, and of receivers that are simulated: a queue, servers, and always an event that waits.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::Duration;

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
    assert_eq!(limit.value(), 53, "from now on by a sixteenth a round");
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
fn a_limit_is_not_lowered_while_the_gateway_itself_is_late_and_grows_if_it_is_used() {
    let mut limit = Limit::new(100);
    busy(&mut limit, 2, |_| millis(1));
    limit.refused(limit.round);
    assert_eq!(limit.value(), 50);
    for _ in 0..20 {
        let before = limit.value();
        // The more requests the longer, since all of them wait for the same CPU.
        limit.was_late(millis(before as u64 / 2));
        busy(&mut limit, 1, |active| millis(active as u64));
        assert!(limit.value() > before || before == 100, "{before}, {}", limit.value());
    }
    assert_eq!(limit.value(), 100);
}

#[test]
fn a_limit_does_not_grow_if_the_receiver_is_slower_than_the_gateway_is_late() {
    let mut limit = Limit::new(100);
    busy(&mut limit, 2, |_| millis(20));
    limit.refused(limit.round);
    for _ in 0..20 {
        limit.was_late(millis(5));
        busy(&mut limit, 1, |_| millis(40));
    }
    assert_eq!(limit.value(), 50);
}

#[test]
fn a_trial_ends_without_a_result_if_the_gateway_is_late() {
    let mut limit = Limit::new(100);
    busy(&mut limit, 3, |_| millis(1));
    let before = limit.value();
    while !matches!(limit.phase, Phase::Lowered { .. }) {
        busy(&mut limit, 1, |active| millis(active as u64 / 10));
    }
    assert!(limit.value() < before);
    limit.was_late(millis(2));
    busy(&mut limit, 1, |_| millis(60));
    assert_eq!(limit.value(), before);
}

#[test]
fn a_limit_is_not_doubled_while_the_gateway_is_late() {
    let mut limit = Limit::new(100);
    for value in [26, 27, 28, 29] {
        limit.was_late(millis(20));
        busy(&mut limit, 1, |_| millis(20));
        assert_eq!(limit.value(), value);
    }
}

#[test]
fn what_the_gateway_is_late_does_not_matter_to_a_receiver_that_takes_far_longer() {
    let mut limit = Limit::new(100);
    busy(&mut limit, 3, |_| millis(2_000));
    limit.was_late(millis(200));
    assert_eq!(limit.late_rounds, 0);
}

/// A receiver that handles so many requests at the same time.
struct Simulation<F> {
    limit: Limit,
    servers: usize,
    /// How many seconds a request takes when it is handled at this second.
    service: F,
    now: f64,
    active: usize,
    handled: usize,
    /// When each was sent, and its round.
    queue: VecDeque<(f64, u32)>,
    /// When each is answered, in nanoseconds; when it was sent, and its round.
    answers: BinaryHeap<Reverse<(u64, u64, u32)>>,
    next_tick: f64,
}

/// What was seen in a time.
#[derive(Debug)]
struct Seen {
    /// Requests at the same time, the mean.
    active: f64,
    /// Seconds until an answer, the mean.
    latency: f64,
    /// Answers each second.
    throughput: f64,
}

impl<F: FnMut(f64) -> f64> Simulation<F> {
    /// With a limit of at most `max`.
    fn new(max: usize, servers: usize, service: F) -> Self {
        Self {
            limit: Limit::new(max),
            servers,
            service,
            now: 0.0,
            active: 0,
            handled: 0,
            queue: VecDeque::new(),
            answers: BinaryHeap::new(),
            next_tick: 0.5,
        }
    }

    /// For so many seconds there is always an event that waits.
    fn run(&mut self, seconds: f64) -> Seen {
        let (began, end) = (self.now, self.now + seconds);
        let (mut answers, mut latency, mut active) = (0, 0.0, 0.0);
        while self.now < end {
            while self.limit.allows(self.active) {
                self.active += 1;
                let round = self.limit.started(self.active);
                self.queue.push_back((self.now, round));
            }
            while self.handled < self.servers
                && let Some((sent, round)) = self.queue.pop_front()
            {
                self.handled += 1;
                let answered = self.now + (self.service)(self.now);
                self.answers.push(Reverse((nanos(answered), nanos(sent), round)));
            }
            let Reverse((answered, sent, round)) = self.answers.pop().unwrap();
            let before = std::mem::replace(&mut self.now, answered as f64 / 1e9);
            let took = answered - sent;
            self.limit.answered(round, Duration::from_nanos(took), self.active);
            active += self.active as f64 * (self.now - before);
            (answers, latency) = (answers + 1, latency + took as f64 / 1e9);
            (self.active, self.handled) = (self.active - 1, self.handled - 1);
            if self.now >= self.next_tick {
                self.limit.tick(self.active);
                self.next_tick += 0.5;
            }
        }
        let took = self.now - began;
        Seen {
            active: active / took,
            latency: latency / f64::from(answers),
            throughput: f64::from(answers) / took,
        }
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

/// Evenly distributed from 0 to 1, the same in each run.
fn fractions() -> impl FnMut() -> f64 {
    let mut state = 88_172_645_463_325_252_u64;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// Exponentially distributed around this mean.
fn exponential(mean: f64) -> impl FnMut(f64) -> f64 {
    let mut fraction = fractions();
    move |_| -mean * (1.0 - fraction()).ln()
}

#[test]
fn a_receiver_gets_few_more_requests_than_it_handles_at_the_same_time() {
    let mut receiver = Simulation::new(94, 30, |_| 0.02);
    receiver.run(1.0);
    for _ in 0..20 {
        let seen = receiver.run(1.0);
        assert!((30.0..45.0).contains(&seen.active), "{seen:?}");
        assert!(seen.latency < 0.028 && seen.throughput > 1450.0, "{seen:?}");
    }
    // Another number, and a latency that was never seen without a queue.
    for (servers, service) in [(10, 0.02), (3, 0.02), (60, 0.005)] {
        let mut receiver = Simulation::new(94, servers, |_| service);
        receiver.run(10.0);
        let seen = receiver.run(10.0);
        let unloaded = servers as f64 / service;
        assert!(seen.throughput > 0.95 * unloaded, "{servers}: {seen:?}");
        let most = (1.4 * servers as f64 + 2.0).max(1.3 * first(94) as f64);
        assert!(seen.active < most, "{servers}: {seen:?}");
    }
}

#[test]
fn a_receiver_that_handles_many_at_the_same_time_gets_them_within_seconds() {
    let mut receiver = Simulation::new(1000, 1000, |_| 0.1);
    receiver.run(2.0);
    for _ in 0..5 {
        let seen = receiver.run(2.0);
        assert!(seen.throughput > 9_400.0, "{seen:?}");
    }
}

#[test]
fn a_receiver_that_becomes_slow_for_itself_keeps_its_requests() {
    let mut receiver = Simulation::new(94, 1000, |now| if now < 2.0 { 0.005 } else { 2.0 });
    receiver.run(20.0);
    for _ in 0..5 {
        let seen = receiver.run(60.0);
        assert!(seen.active > 90.0, "{seen:?}");
    }
}

#[test]
fn what_becomes_faster_or_slower_gets_as_many_requests_as_before() {
    let service = |now| {
        if now < 5.0 {
            0.02
        } else if now < 10.0 {
            0.01
        } else {
            0.04
        }
    };
    let mut receiver = Simulation::new(94, 30, service);
    for service in [0.02, 0.01, 0.04] {
        receiver.run(2.0);
        let seen = receiver.run(3.0);
        assert!(seen.throughput > 0.95 * 30.0 / service && seen.latency < 1.4 * service, "{seen:?}");
    }
}

#[test]
fn answers_that_take_different_times_do_not_lower_the_limit() {
    // Without a queue.
    let mut receiver = Simulation::new(94, 1000, exponential(0.05));
    receiver.run(1.0);
    for _ in 0..20 {
        let seen = receiver.run(10.0);
        assert!(seen.active > 85.0, "{seen:?}");
    }
    let mut fraction = fractions();
    let mut receiver = Simulation::new(94, 1000, |_| if fraction() < 0.05 { 0.5 } else { 0.02 });
    receiver.run(1.0);
    for _ in 0..20 {
        let seen = receiver.run(10.0);
        assert!(seen.active > 80.0, "{seen:?}");
    }
    // With one.
    let mut receiver = Simulation::new(94, 30, exponential(0.02));
    receiver.run(1.0);
    let seen = receiver.run(60.0);
    assert!(seen.throughput > 0.93 * 1500.0 && seen.latency < 0.035, "{seen:?}");
}
