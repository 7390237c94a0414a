//! What leaves a queue next, and what gives way in it.

use std::sync::Arc;

use proptest::prelude::*;
use wrp::QosLevel::{self, Critical, High, Low, Medium};

use super::*;
use crate::device::Owner;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    pub(super) number: u32,
    pub(super) rank: Rank,
    pub(super) bytes: usize,
}

impl Ranked for Event {
    fn rank(&self) -> Rank {
        self.rank
    }

    fn bytes(&self) -> usize {
        self.bytes
    }
}

pub(super) fn event(level: QosLevel, device: u32, number: u32) -> Event {
    of(1, level, device, number)
}

pub(super) fn of(partner: u32, level: QosLevel, device: u32, number: u32) -> Event {
    Event { number, rank: Rank { level, owner: Owner { partner, device } }, bytes: 300 }
}

pub(super) fn queue(order: Order) -> FairQueue<Event> {
    with(&[], order)
}

pub(super) fn with(weights: &[(u32, u64)], order: Order) -> FairQueue<Event> {
    let weights = weights.iter().map(|(partner, weight)| (*partner, Weight::new(*weight).unwrap()));
    FairQueue::new(Fairness { weights: Arc::new(PartnerWeights::of_keys(weights)), order, slot: 65_536 })
}

fn numbers(events: impl IntoIterator<Item = Event>) -> Vec<u32> {
    events.into_iter().map(|event| event.number).collect()
}

fn number(event: Option<Event>) -> Option<u32> {
    event.map(|event| event.number)
}

#[test]
fn few_events_leave_in_the_order_in_which_they_came_whosever_they_are() {
    let mut queue = queue(Order::None);
    (0..CONTENDED as u32 - 1).for_each(|number| queue.push_back(event(Low, number % 3, number)));
    assert!(queue.contended.is_none());
    let left: Vec<_> = std::iter::from_fn(|| queue.pop_front()).collect();
    assert_eq!(numbers(left), (0..CONTENDED as u32 - 1).collect::<Vec<_>>());
}

#[test]
fn a_device_with_one_event_does_not_wait_for_those_of_a_flood() {
    let mut queue = queue(Order::None);
    (0..1000).for_each(|number| queue.push_back(event(Low, 1, number)));
    queue.push_back(event(Low, 2, 1000));
    let before = std::iter::from_fn(|| queue.pop_front()).take_while(|event| event.rank.owner.device == 1);
    assert!(before.count() <= 1, "one turn of the flood");
    assert_eq!(queue.len(), 1001 - 2);
}

#[test]
fn a_device_is_served_when_it_comes_to_the_front_for_the_first_time() {
    let mut queue = queue(Order::None);
    (0..800).for_each(|number| queue.push_back(event(Low, number % 20, number)));
    assert_eq!(std::iter::from_fn(|| queue.pop_front()).take(100).count(), 100);
    queue.push_back(event(Low, 99, 800));
    let before = std::iter::from_fn(|| queue.pop_front()).take_while(|event| event.rank.owner.device != 99);
    let before = before.count();
    assert!(before <= 20 * 2, "one turn of each other device: {before}");
}

#[test]
fn when_few_are_left_they_leave_in_their_order_again() {
    let mut queue = queue(Order::None);
    (0..100).for_each(|number| queue.push_back(event(Low, number % 7, number)));
    assert!(queue.contended.is_some());
    while queue.len() > UNCONTENDED {
        queue.pop_front();
    }
    assert!(queue.contended.is_none());
    let left = numbers(std::iter::from_fn(|| queue.pop_front()));
    assert!(left.is_sorted() && left.len() == UNCONTENDED, "{left:?}");
}

#[test]
fn among_equals_the_lowest_level_gives_way_first_and_then_the_oldest() {
    let mut queue = queue(Order::None);
    for (number, level) in [High, Medium, Medium, Low, Critical].into_iter().enumerate() {
        queue.push_back(event(level, number as u32, number as u32));
    }
    let mut to = |level| number(queue.give_way(&event(level, 9, 0)));
    assert_eq!(to(Critical), Some(3));
    assert_eq!(to(Low), None, "all that wait are of higher levels");
    assert_eq!(to(Medium), Some(1), "the oldest of its own level");
    assert_eq!(to(High), Some(2));
    assert_eq!(to(High), Some(0));
    assert_eq!(to(High), None);
    assert_eq!(numbers(queue.drain()), [4]);
}

#[test]
fn a_flood_of_a_high_level_makes_room_for_others_and_of_it_its_lowest_level_first() {
    let mut queue = queue(Order::None);
    queue.push_back(event(Low, 2, 0));
    for number in 1..=400 {
        queue.push_back(event(if number <= 50 { Medium } else { Critical }, 1, number));
    }
    for number in 1..=100 {
        let given = queue.give_way(&event(Low, 100 + number, 0)).unwrap();
        let level = if number <= 50 { Medium } else { Critical };
        assert_eq!((given.rank.level, given.number), (level, number));
        queue.push_back(event(Low, 100 + number, 0));
    }
    assert_eq!(queue.give_way(&event(High, 1, 0)), None, "the flood has only more important ones left");
    assert_eq!(
        number(queue.give_way(&event(Critical, 1, 0))),
        Some(101),
        "the flood displaces its own oldest"
    );
    assert!(queue.drain().any(|event| event.rank.owner.device == 2));
}

#[test]
fn a_partner_above_its_weight_makes_room_for_another_one() {
    let mut queue = with(&[(2, 3)], Order::None);
    // Two fifths are more than one and a half quarters.
    for number in 0..200 {
        (0..2).for_each(|_| queue.push_back(of(1, Critical, number, number)));
        (0..3).for_each(|_| queue.push_back(of(2, Low, number, number)));
    }
    let given = queue.give_way(&of(2, Low, 7, 0)).unwrap();
    assert_eq!((given.rank.owner.partner, given.number), (1, 0));
    let own = queue.give_way(&of(1, Low, 1000, 0));
    assert_eq!(own, None, "of its own, all others are more important");
}

#[test]
fn a_long_event_displaces_only_what_is_less_important() {
    let mut queue = queue(Order::None);
    (0..100).for_each(|number| queue.push_back(event(Low, number, number)));
    let long = |level| Event { bytes: 32 << 20, ..event(level, 1000, 0) };
    assert_eq!(queue.give_way(&long(Low)), None);
    assert_eq!(number(queue.give_way(&long(Medium))), Some(0));
    assert_eq!(
        number(queue.give_way(&Event { bytes: 200_000, ..long(Low) })),
        Some(1),
        "it is not that long"
    );
}

#[test]
fn with_order_a_device_has_one_event_under_way_and_others_do_not_wait_for_it() {
    let mut queue = queue(Order::Device);
    for number in 0..6 {
        queue.push_back(event(Low, number % 2, number));
    }
    assert_eq!((number(queue.pop_front()), number(queue.pop_front())), (Some(0), Some(1)));
    assert!(!queue.can_start() && !queue.is_empty());
    assert_eq!(queue.pop_front(), None);
    queue.ended(Owner { partner: 1, device: 1 });
    assert!(queue.can_start());
    assert_eq!((number(queue.pop_front()), queue.pop_front()), (Some(3), None));
    queue.push_back(event(Low, 2, 6));
    assert_eq!((number(queue.pop_front()), queue.pop_front()), (Some(6), None));
    queue.ended(Owner { partner: 1, device: 0 });
    assert_eq!((number(queue.pop_front()), queue.pop_front()), (Some(2), None));
    assert_eq!(numbers(queue.drain()), [4, 5]);
}

#[test]
fn what_is_forgotten_when_nothing_comes_any_more_takes_no_memory() {
    let mut queue = queue(Order::None);
    for number in 0..100_000 {
        queue.push_back(of(number / 100, Low, number, number));
        if queue.len() > 100 {
            queue.pop_front();
        }
    }
    let contended = queue.contended.as_ref().unwrap();
    assert!(contended.remembered() <= 100 + 2 * 4096, "{}", contended.remembered());
    assert!(contended.listed() <= 2 * 100 + 65 * 100);
}

#[test]
fn a_device_that_holds_less_than_its_part_of_what_is_free_does_not_hold_much() {
    let mut queue = queue(Order::None);
    let (loud, quiet) = (Owner { partner: 1, device: 1 }, Owner { partner: 1, device: 11 });
    queue.push_back(event(Low, 1, 0));
    assert!(queue.holds_much(loud, 1 << 30), "it is not known");
    (0..500).for_each(|number| queue.push_back(event(Low, number % 5, number)));
    (0..45).for_each(|number| queue.push_back(event(Low, 10 + number, number)));
    // Fifty devices: a part is five events.
    let free = 250 * (65_536 + 300);
    assert!(queue.holds_much(loud, free) && !queue.holds_much(quiet, free));
    assert!(!queue.holds_much(quiet, 0), "it holds next to nothing");
}

#[test]
fn in_a_burst_of_all_devices_each_of_them_holds_much_when_nearly_nothing_is_left() {
    let mut queue = queue(Order::None);
    (0..500).for_each(|number| queue.push_back(event(Low, number % 50, number)));
    for device in 0..50 {
        assert!(queue.holds_much(Owner { partner: 1, device }, 65_536), "{device}");
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Push(u32, u8, u32, usize),
    Pop,
    Ended,
    GiveWay(u32, u8, u32, usize),
}

fn level(number: u8) -> QosLevel {
    [Low, Medium, High, Critical][usize::from(number)]
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = || prop_oneof![4 => 0..2000usize, 1 => 50_000..5_000_000usize];
    prop_oneof![
        5 => (0..3u32, 0..4u8, 0..5u32, bytes()).prop_map(|(p, l, d, b)| Step::Push(p, l, d, b)),
        3 => Just(Step::Pop),
        2 => Just(Step::Ended),
        2 => (0..3u32, 0..4u8, 0..5u32, bytes()).prop_map(|(p, l, d, b)| Step::GiveWay(p, l, d, b)),
    ]
}

fn new(number: usize, (partner, rank, device, bytes): (u32, u8, u32, usize)) -> Event {
    Event { bytes, ..of(partner, level(rank), 10 * partner + device, number as u32) }
}

proptest! {
    /// Whatever happens: each event leaves once, those of a device in their order, with `Order::Device` one at a time; an event
    /// can leave as long as one may; and no event gives way to a less important one unless its owner holds more.
    #[test]
    fn each_event_leaves_once_and_those_of_a_device_in_their_order(
        steps in proptest::collection::vec(step(), 0..600), ordered: bool,
    ) {
        let order = if ordered { Order::Device } else { Order::None };
        let mut queue = with(&[(0, 1), (1, 2), (2, 4)], order);
        let (mut list, mut under_way) = (Vec::<Event>::new(), Vec::<Owner>::new());
        for (at, step) in steps.into_iter().enumerate() {
            match step {
                Step::Push(p, l, d, b) => {
                    queue.push_back(new(at, (p, l, d, b)));
                    list.push(new(at, (p, l, d, b)));
                }
                Step::Ended => {
                    if let Some(owner) = under_way.pop() {
                        queue.ended(owner);
                    }
                }
                Step::Pop => {
                    let popped = queue.pop_front();
                    let may = |event: &Event| !under_way.contains(&event.rank.owner);
                    prop_assert_eq!(popped.is_some(), list.iter().any(may));
                    if let Some(popped) = popped {
                        let first = list.iter().position(|event| event.rank.owner == popped.rank.owner).unwrap();
                        prop_assert!(may(&popped));
                        prop_assert_eq!(list.remove(first), popped);
                        if ordered {
                            under_way.push(popped.rank.owner);
                        }
                    }
                }
                Step::GiveWay(p, l, d, b) => {
                    let to = new(at, (p, l, d, b));
                    match queue.give_way(&to) {
                        None => {
                            let lower = list.iter().filter(|event| event.rank.level < to.rank.level);
                            let owner = |event: &&Event| event.rank.owner.device == to.rank.owner.device;
                            prop_assert_eq!(lower.filter(owner).count(), 0);
                        }
                        Some(given) => {
                            let same = |event: &&Event| event.rank == given.rank;
                            prop_assert_eq!(list.iter().find(same), Some(&given), "the oldest of its rank");
                            let own = list.iter().filter(|event| event.rank.owner == given.rank.owner);
                            prop_assert_eq!(own.map(|event| event.rank.level).min(), Some(given.rank.level));
                            list.retain(|event| event.number != given.number);
                        }
                    }
                }
            }
            prop_assert_eq!(queue.len(), list.len());
            let may = list.iter().any(|event| !under_way.contains(&event.rank.owner));
            prop_assert_eq!(queue.can_start(), may);
        }
        prop_assert_eq!(queue.drain().collect::<Vec<_>>(), list);
        prop_assert!(queue.is_empty());
    }
}
