//! What waits in lanes, and what gives way in them.

use wrp::QosLevel::{self, Critical, High, Medium};

use super::super::queue::tests::waiting;
use super::*;
use crate::routing::Target;

fn lanes(records: u64, bytes: u64) -> Lanes {
    Lanes::new(WaitingLimit { records, bytes }, 3, 0)
}

/// A record of the target's lane.
fn of(target: &Arc<Target>, sequence: u64, level: QosLevel, bytes: usize) -> Waiting {
    let mut waiting = waiting("k", sequence, level, bytes);
    waiting.context.target = Arc::clone(target);
    waiting
}

fn target(lanes: &mut Lanes, topic: &str) -> Arc<Target> {
    let target = Target::new(topic, "");
    target.assign_lane(|| lanes.assign(topic, 8));
    target
}

fn push(lanes: &mut Lanes, waiting: Waiting) -> Option<Vec<u64>> {
    match lanes.push(waiting) {
        Pushed::Queued(evicted) => Some(evicted.iter().map(|w| w.context.sequence).collect()),
        Pushed::Full(_) => None,
    }
}

fn order(lanes: &mut Lanes, id: LaneId) -> Vec<u64> {
    std::iter::from_fn(|| lanes.pop_first(id)).map(|waiting| waiting.context.sequence).collect()
}

#[test]
fn the_lowest_level_is_evicted_first_and_then_the_oldest() {
    let mut lanes = lanes(3, 10_000);
    let topic = target(&mut lanes, "t");
    for (sequence, level) in [(1, High), (2, Medium), (3, Medium)] {
        push(&mut lanes, of(&topic, sequence, level, 1));
    }
    assert_eq!(push(&mut lanes, of(&topic, 4, Critical, 1)), Some(vec![2]));
    assert_eq!(push(&mut lanes, of(&topic, 5, Medium, 1)), Some(vec![3]), "the oldest of its own level");
    assert_eq!(push(&mut lanes, of(&topic, 6, High, 1)), Some(vec![5]));
    assert_eq!(push(&mut lanes, of(&topic, 7, Medium, 1)), None, "all that wait are of higher levels");
    assert_eq!(order(&mut lanes, topic.lane()), [1, 4, 6]);
    assert_eq!(lanes.used(), (0, 0));
}

#[test]
fn a_large_record_evicts_several_small_ones_or_none() {
    // Three records of 3 bytes, and one byte more.
    let held = waiting("k", 0, Medium, 0).held() as u64;
    let mut lanes = lanes(10, 3 * held + 10);
    let large = usize::try_from(held).unwrap() + 7;
    let topic = target(&mut lanes, "t");
    for (sequence, level) in [(1, Medium), (2, Medium), (3, Critical)] {
        push(&mut lanes, of(&topic, sequence, level, 3));
    }
    assert_eq!(
        push(&mut lanes, of(&topic, 4, High, large + 1)),
        None,
        "one byte too many beside the critical one"
    );
    assert_eq!(push(&mut lanes, of(&topic, 5, High, large)), Some(vec![1, 2]));
    assert_eq!(order(&mut lanes, topic.lane()), [3, 5]);
}

#[test]
fn a_lane_that_takes_all_it_gets_evicts_its_own_records_only() {
    let mut lanes = lanes(90, 1_000_000);
    let (greedy, modest) = (target(&mut lanes, "greedy"), target(&mut lanes, "modest"));
    push(&mut lanes, of(&modest, 0, Medium, 1));
    let evicted: Vec<_> =
        (1..100).filter_map(|sequence| push(&mut lanes, of(&greedy, sequence, Critical, 1))).collect();
    assert_eq!(evicted.concat(), (1..40).collect::<Vec<_>>(), "all but 60: twice what is free then");
    for sequence in 100..110 {
        assert_eq!(push(&mut lanes, of(&modest, sequence, Medium, 1)), Some(vec![]));
    }
    assert_eq!(order(&mut lanes, modest.lane()).len(), 11);
    assert_eq!(order(&mut lanes, greedy.lane()).len(), 60);
}

#[test]
fn a_lane_is_freed_for_another_topic_when_no_target_uses_it() {
    let mut lanes = lanes(9, 100_000);
    let (first, second) = (target(&mut lanes, "first"), target(&mut lanes, "second"));
    assert!(lanes.is_shared() && first.lane() != second.lane());
    assert_eq!(target(&mut lanes, "first").lane(), first.lane(), "a topic has one lane");
    let number = first.lane();
    drop(first);
    lanes.forget_unused();
    assert!(!lanes.is_shared());
    assert_eq!(target(&mut lanes, "third").lane(), number);
    assert_eq!((0..9).filter(|more| lanes.assign(&more.to_string(), 8).is_some()).count(), 5);
}
