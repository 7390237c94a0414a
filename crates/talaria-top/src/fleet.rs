//! The state of the gateways that are watched: the figures of each, or why it is not reached. Pure: times and readings come in.

use std::time::Duration;

use crate::figures::Figures;
use crate::reading::Reading;

/// All gateways, in the order of the command line.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    gateways: Vec<Gateway>,
}

/// One gateway.
#[derive(Debug)]
pub(crate) struct Gateway {
    /// Host and port.
    pub name: String,
    /// What is known of it.
    pub state: State,
    /// The latest reading and its time, kept while the gateway is not reached: rates go on from it.
    latest: Option<(Reading, Duration)>,
    rounds: u64,
}

/// What is known of a gateway.
#[derive(Debug)]
pub(crate) enum State {
    /// It has not answered yet.
    Asked,
    /// It has answered.
    Reached(Box<Figures>),
    /// Its last page could not be fetched or read.
    Unreached {
        /// Why.
        error: String,
        /// Since when.
        since: Duration,
    },
}

/// How the state of a gateway has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Change {
    /// Not at all, or only its figures.
    None,
    /// It is reached again.
    Reached,
    /// It is not reached any more, or for another reason.
    Unreached,
}

impl Fleet {
    /// Gateways of these names, none of which has been asked.
    pub(crate) fn new<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let gateway =
            |name: &str| Gateway { name: name.to_owned(), state: State::Asked, latest: None, rounds: 0 };
        Self { gateways: names.map(gateway).collect() }
    }

    /// Notes what a gateway answered at this time.
    pub(crate) fn note(&mut self, index: usize, at: Duration, answer: Result<Reading, String>) -> Change {
        let Some(gateway) = self.gateways.get_mut(index) else { return Change::None };
        gateway.rounds += 1;
        match answer {
            Ok(reading) => gateway.reached(reading, at),
            Err(error) => gateway.unreached(error, at),
        }
    }

    pub(crate) fn gateways(&self) -> &[Gateway] {
        &self.gateways
    }

    /// The figures of those that are reached, together.
    pub(crate) fn figures(&self) -> Figures {
        Figures::of_fleet(self.gateways.iter().filter_map(Gateway::figures))
    }

    /// How many are reached.
    pub(crate) fn reached(&self) -> usize {
        self.gateways.iter().filter_map(Gateway::figures).count()
    }

    /// How often each gateway has answered, or failed to, at least.
    pub(crate) fn rounds(&self) -> u64 {
        self.gateways.iter().map(|gateway| gateway.rounds).min().unwrap_or(0)
    }
}

impl Gateway {
    /// Its figures, if it is reached.
    pub(crate) fn figures(&self) -> Option<&Figures> {
        match &self.state {
            State::Reached(figures) => Some(figures),
            State::Asked | State::Unreached { .. } => None,
        }
    }

    fn reached(&mut self, reading: Reading, at: Duration) -> Change {
        let earlier = self.latest.as_ref().map(|(reading, then)| (reading, at.saturating_sub(*then)));
        let figures = Box::new(Figures::of(&reading, earlier));
        self.latest = Some((reading, at));
        match std::mem::replace(&mut self.state, State::Reached(figures)) {
            State::Unreached { .. } => Change::Reached,
            State::Asked | State::Reached(_) => Change::None,
        }
    }

    fn unreached(&mut self, error: String, at: Duration) -> Change {
        let (since, is_new) = match &self.state {
            State::Unreached { error: before, since } => (*since, *before != error),
            State::Asked | State::Reached(_) => (at, true),
        };
        self.state = State::Unreached { error, since };
        if is_new { Change::Unreached } else { Change::None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn page(devices: u32, connects: u32) -> Result<Reading, String> {
        let page = format!("t_max_device_count 0\nt_device_count {devices}\nt_connect_count {connects}\n");
        Reading::of(&page).map_err(|error| error.to_string())
    }

    #[test]
    fn rates_go_on_after_a_gateway_was_not_reached() {
        let mut fleet = Fleet::new(["a"].into_iter());
        assert_eq!(fleet.note(0, SECOND, page(1, 10)), Change::None);
        assert_eq!(fleet.figures().devices.connects, None, "there is no rate with one reading");
        assert_eq!(fleet.note(0, 2 * SECOND, Err("refused".to_owned())), Change::Unreached);
        assert_eq!(fleet.note(0, 3 * SECOND, Err("refused".to_owned())), Change::None);
        let State::Unreached { since, .. } = fleet.gateways()[0].state else { panic!("reached") };
        assert_eq!(since, 2 * SECOND);
        assert_eq!((fleet.reached(), fleet.figures()), (0, Figures::default()));
        assert_eq!(fleet.note(0, 5 * SECOND, page(1, 14)), Change::Reached);
        assert_eq!(fleet.figures().devices.connects, Some(1.0));
        assert_eq!(fleet.rounds(), 4);
    }

    #[test]
    fn a_fleet_is_the_sum_of_the_gateways_that_are_reached() {
        let mut fleet = Fleet::new(["a", "b", "c"].into_iter());
        fleet.note(0, SECOND, page(5, 0));
        fleet.note(2, SECOND, page(7, 0));
        assert_eq!(fleet.figures().devices.connected, Some(12.0));
        assert_eq!((fleet.reached(), fleet.rounds()), (2, 0));
    }
}
