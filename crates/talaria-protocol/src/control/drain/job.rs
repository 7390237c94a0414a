//! A drain with everything settled that depends on the number of connected devices.
//!
//! Carrying it out is the gateway's task.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value};

use super::order::{Amount, Order, Pace};
use super::selection::Selection;
use crate::go::duration;

/// The pace of a job that names none.
const DEFAULT_TICK: Duration = Duration::from_secs(1);

/// An order, with everything settled that depends on how many devices are connected at its start.
#[derive(Clone, Debug)]
pub struct Job {
    /// How many devices are to go at most.
    pub count: u64,
    /// The percentage that the count was made of, if it was.
    pub percent: Option<u64>,
    /// How many devices go at a time; as fast as possible if not given.
    pub pace: Option<Pace>,
    /// Which devices may go.
    pub selection: Arc<Selection>,
    /// Whether they are counted only.
    pub is_dry_run: bool,
}

impl Job {
    /// The job of an order when this many devices are connected. A percentage overrides a count and is rounded down;
    /// without either, all devices are meant.
    #[must_use]
    pub fn of(order: &Order, connected: usize) -> Self {
        let connected = connected as u64;
        let (count, percent) = match order.amount {
            Amount::All => (connected, None),
            Amount::Count(count) => (count, None),
            Amount::Percent(percent) => {
                let count = u128::from(connected) * u128::from(percent) / 100;
                (u64::try_from(count).unwrap_or(u64::MAX), Some(percent))
            }
        };
        let pace = order.rate.map(|rate| Pace { rate, tick: order.tick.unwrap_or(DEFAULT_TICK) });
        Self { count, percent, pace, selection: Arc::clone(&order.selection), is_dry_run: order.is_dry_run }
    }

    /// The job as the answer describes it: the reference's keys as the reference writes them, and ours if they were given.
    #[must_use]
    pub fn describe(&self) -> Map<String, Value> {
        let mut described = Map::new();
        described.insert("count".into(), self.count.into());
        if let Some(filter) = self.selection.describe_filter() {
            described.insert("filter".into(), filter);
        }
        if let Some(percent) = self.percent {
            described.insert("percent".into(), percent.into());
        }
        if let Some(Pace { rate, tick }) = self.pace {
            described.insert("rate".into(), rate.into());
            described.insert("tick".into(), duration::format(tick).into());
        }
        if self.is_dry_run {
            described.insert("dryRun".into(), true.into());
        }
        self.selection.describe_rest(&mut described);
        described
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// contract §7.3: 50 % of 7 is 3; more than 100 % is allowed.
    #[test]
    fn a_percentage_is_rounded_down() {
        let job = |percent, connected| {
            let order = Order { amount: Amount::Percent(percent), ..Order::default() };
            Job::of(&order, connected).count
        };
        assert_eq!(job(50, 7), 3);
        assert_eq!(job(1, 7), 0);
        assert_eq!(job(200, 7), 14);
        assert_eq!(job(u64::MAX, usize::MAX), u64::MAX);
    }

    #[test]
    fn a_rate_without_a_tick_is_per_second_and_a_tick_without_a_rate_means_nothing() {
        let paced = Order { rate: Some(5), ..Order::default() };
        assert_eq!(
            Value::from(Job::of(&paced, 6).describe()).to_string(),
            r#"{"count":6,"rate":5,"tick":"1s"}"#
        );
        let unpaced = Order { tick: Some(DEFAULT_TICK), ..Order::default() };
        assert_eq!(Value::from(Job::of(&unpaced, 6).describe()).to_string(), r#"{"count":6}"#);
    }
}
