//! Overloads, simulated: what is lost of whom.
//!
//! In each step, as many events arrive as the load says, and a fixed number of them leaves the queue.

use std::collections::HashMap;

use proptest::prelude::*;
use wrp::QosLevel::{self, Critical, High, Low, Medium};

use super::tests::{Event, of, with};
use super::*;

/// The room of the queue, in events.
const ROOM: usize = 1000;

const LEVELS: [QosLevel; 4] = [Low, Medium, High, Critical];

/// A queue with a bound, and what was lost and delivered.
struct Overload {
    queue: FairQueue<Event>,
    random: u64,
    number: u32,
    lost: Vec<Event>,
    /// High and critical events that were lost while low ones waited.
    inverted: usize,
    delivered: HashMap<u32, usize>,
    waiting: HashMap<QosLevel, usize>,
}

impl Overload {
    fn new(seed: u64, weights: &[(u32, u64)]) -> Self {
        Self {
            queue: with(weights, Order::None),
            random: seed | 1,
            number: 0,
            lost: Vec::new(),
            inverted: 0,
            delivered: HashMap::new(),
            waiting: HashMap::new(),
        }
    }

    fn below(&mut self, bound: u32) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 33) as u32 % bound
    }

    fn arrive(&mut self, partner: u32, level: QosLevel, device: u32) {
        self.number += 1;
        let event = of(partner, level, device, self.number);
        while self.queue.len() >= ROOM {
            let given = self.queue.give_way(&event);
            self.lose(given.unwrap_or(event));
            if given.is_none() {
                return;
            }
            *self.waiting.entry(given.unwrap().rank.level).or_default() -= 1;
        }
        *self.waiting.entry(level).or_default() += 1;
        self.queue.push_back(event);
    }

    fn lose(&mut self, event: Event) {
        let low = self.waiting.get(&Low).copied().unwrap_or_default();
        if event.rank.level >= High && low > 0 {
            self.inverted += 1;
        }
        self.lost.push(event);
    }

    fn leave(&mut self, count: usize) {
        for _ in 0..count {
            let Some(event) = self.queue.pop_front() else { return };
            *self.waiting.entry(event.rank.level).or_default() -= 1;
            *self.delivered.entry(event.rank.owner.partner).or_default() += 1;
        }
    }

    fn lost_of(&self, is: impl Fn(&Event) -> bool) -> usize {
        self.lost.iter().filter(|event| is(event)).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    /// A few devices flood the queue with high events: those of all other devices, of whatever level, lose nothing.
    #[test]
    fn a_few_devices_that_flood_with_high_events_displace_nothing_of_others(
        seed: u64, floods in 1..6u32, others in prop_oneof![24..100u32, 500..1500u32],
        flood_level in 0..4usize,
    ) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..400 {
            for _ in 0..100 {
                let device = load.below(floods);
                load.arrive(1, LEVELS[flood_level], device);
            }
            // All others together bring a third of what leaves.
            for _ in 0..10 {
                let (device, level) = (1000 + load.below(others), LEVELS[load.below(4) as usize]);
                load.arrive(1, level, device);
            }
            load.leave(30);
        }
        let lost = load.lost_of(|event| event.rank.owner.device >= 1000);
        prop_assert_eq!(lost, 0, "of {} others beside {} that flood", others, floods);
        prop_assert!(load.lost.len() > 15_000);
    }

    /// Three times more than what leaves, of many devices and all levels: no high or critical event is lost while a low one
    /// waits.
    #[test]
    fn in_a_uniform_overload_the_level_decides(
        seed: u64, devices in prop_oneof![10..100u32, 100..1000u32], partners in 1..6u32, high in 1..8u32,
    ) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..400 {
            for _ in 0..90 {
                let (device, kind) = (load.below(devices * partners), 2 * u32::from(load.below(10) < high));
                let level = LEVELS[(kind + load.below(2)) as usize];
                load.arrive(device % partners, level, device);
            }
            load.leave(30);
        }
        prop_assert_eq!(load.inverted, 0);
        prop_assert!(load.lost_of(|event| event.rank.level == Low) > 2_000);
    }

    /// One partner brings nine tenths of the load among ten: the others lose nothing.
    #[test]
    fn a_partner_with_most_of_the_load_displaces_nothing_of_others(seed: u64) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..400 {
            for _ in 0..100 {
                let partner = load.below(90).saturating_sub(80);
                let (device, level) = (load.below(500), LEVELS[load.below(4) as usize]);
                load.arrive(partner, if partner == 0 { Critical } else { level }, 1000 * partner + device);
            }
            load.leave(40);
        }
        prop_assert_eq!(load.lost_of(|event| event.rank.owner.partner != 0), 0);
        prop_assert!(load.lost.len() > 15_000);
    }

    /// Partners with the weights 1, 2 and 4 that all bring too much get what leaves in this proportion.
    #[test]
    fn what_leaves_is_divided_by_the_weights(seed: u64, levels in 1..5u32) {
        let mut load = Overload::new(seed, &[(1, 1), (2, 2), (3, 4)]);
        for _ in 0..400 {
            for _ in 0..120 {
                let (partner, device) = (1 + load.below(3), load.below(200));
                let level = LEVELS[load.below(levels) as usize];
                load.arrive(partner, level, 1000 * partner + device);
            }
            load.leave(35);
        }
        let all: usize = load.delivered.values().sum();
        for (partner, weight) in [(1, 1), (2, 2), (3, 4)] {
            let (got, right) = (load.delivered[&partner], all * weight / 7);
            prop_assert!(got.abs_diff(right) * 10 <= right, "partner {partner}: {got} for {right}");
        }
    }

    /// Two partners, one of which floods with high events: the other one keeps what is below its share.
    #[test]
    fn of_two_partners_neither_displaces_what_the_other_one_has_a_right_to(seed: u64, devices in 1..2000u32) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..400 {
            for _ in 0..100 {
                let device = load.below(devices);
                load.arrive(1, High, device);
            }
            for _ in 0..8 {
                let device = load.below(20);
                load.arrive(2, Low, 10_000 + device);
            }
            load.leave(20);
        }
        prop_assert_eq!(load.lost_of(|event| event.rank.owner.partner == 2), 0);
    }

    /// A receiver that is too slow for devices which all send the same, event by event or in bursts, as after a wait for room:
    /// next to no critical event is lost. A device two of whose bursts happen to wait may count as one that floods.
    #[test]
    fn events_in_bursts_are_shed_by_level(
        seed: u64, devices in prop_oneof![Just(3u32), Just(10), Just(60), Just(200), Just(1000)],
        burst in 1..20u32,
    ) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..300 {
            let mut arrived = 0;
            while arrived < 90 {
                let device = load.below(devices);
                for _ in 0..burst {
                    let level = [Low, Medium, Critical][load.below(3) as usize];
                    load.arrive(1, level, device);
                }
                arrived += burst;
            }
            load.leave(arrived as usize - 49);
        }
        let lost = load.lost_of(|event| event.rank.level == Critical);
        prop_assert!(lost <= 9, "{lost} of some 9000 are lost");
        prop_assert!(load.lost_of(|event| event.rank.level == Low) > 5_000);
    }

    /// Half of the devices send low events only, the others all that is of higher levels.
    #[test]
    fn devices_that_send_what_is_important_only_lose_none_of_it(
        seed: u64, devices in prop_oneof![Just(10u32), Just(200), Just(1000)],
    ) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..300 {
            for _ in 0..90 {
                let (device, high) = (load.below(devices), load.below(5));
                let level = if device % 2 == 0 { Low } else { [Medium, High, Medium, Critical, Medium][high as usize] };
                load.arrive(1, level, device);
            }
            load.leave(30);
        }
        prop_assert_eq!(load.lost_of(|event| event.rank.level >= High), 0);
    }

    /// A quarter of the devices, or a tenth of a thousand, flood the queue: as soon as that is noticed, the others lose nothing, whatever the levels.
    #[test]
    fn many_devices_that_flood_displace_next_to_nothing_of_others(
        seed: u64, level in 0..5usize,
        (devices, floods) in prop_oneof![Just((12u32, 3)), Just((200, 50)), Just((1000, 100))],
    ) {
        let mut load = Overload::new(seed, &[]);
        for _ in 0..600 {
            for _ in 0..120 {
                let (device, any) = (load.below(floods), load.below(4) as usize);
                load.arrive(1, LEVELS[LEVELS.get(level).map_or(any, |_| level)], device);
            }
            for _ in 0..10 {
                let (device, level) = (floods + load.below(devices - floods), LEVELS[load.below(4) as usize]);
                load.arrive(1, level, device);
            }
            load.leave(30);
        }
        let lost = load.lost_of(|event| event.rank.owner.device >= floods);
        prop_assert!(lost < 600, "{lost} of 6000 of {devices} devices, of which {floods} flood");
    }
}
