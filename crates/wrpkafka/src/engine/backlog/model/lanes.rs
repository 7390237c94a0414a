//! Scenarios of several lanes, and of a lane whose topic cannot be written to.

use super::primitives::{FixedSlot, Model};
use super::*;
use crate::engine::backlog::Written;

/// The targets of two topics, each with a lane of its own.
fn two_lanes<S: Slot<Arc<ModelClient>>>(backlog: &Backlog<Model<S>>) -> [std::sync::Arc<Target>; 2] {
    let targets = ["a", "b"].map(|topic| Target::new(topic, ""));
    backlog.assign_lanes(targets.iter());
    targets
}

/// The first lane is full of records that are not acknowledged until those of the second one have come out, of which one
/// waits for room behind it.
fn lanes_pass_each_other() {
    let (backlog, client, records) = open::<FixedSlot>(4, 8);
    let [a, b] = two_lanes(&backlog);
    (0..3).for_each(|number| submit(&backlog, of(&a, A, number, QosLevel::High)));
    let waiting = [of(&a, A, 3, QosLevel::High), of(&b, B, 0, QosLevel::High), of(&b, B, 1, QosLevel::High)];
    let caller = submitter(&backlog, waiting.into());
    let held: Vec<_> = (0..3).map(|_| records.recv().unwrap()).collect();
    deliver(&backlog, &client, &records, 2);
    held.iter().for_each(|record| acknowledge(&backlog, &client, record));
    deliver(&backlog, &client, &records, 1);
    assert!(caller.join().unwrap().is_empty());
    assert_eq!((client.log(A), client.log(B)), (vec![0, 1, 2, 3], vec![0, 1]));
    assert_empty(&backlog);
}

/// There is room for the caller's record, but none for its lane until a record of the lane has left.
fn a_lane_holds_its_share() {
    let (backlog, client, records) = open::<FixedSlot>(5, 8);
    let [a, _b] = two_lanes(&backlog);
    (0..4).for_each(|number| submit(&backlog, of(&a, A, number, QosLevel::High)));
    let caller = submitter(&backlog, vec![of(&a, A, 4, QosLevel::High)]);
    let held: Vec<_> = (0..4).map(|_| records.recv().unwrap()).collect();
    acknowledge(&backlog, &client, &held[0]);
    deliver(&backlog, &client, &records, 1);
    held[1..].iter().for_each(|record| acknowledge(&backlog, &client, record));
    assert!(caller.join().unwrap().is_empty());
    assert_eq!(client.log(A), [0, 1, 2, 3, 4]);
    assert_empty(&backlog);
}

/// Two lanes, and room for one record.
fn lanes_share_a_full_client() {
    let (backlog, client, records) = open::<FixedSlot>(1, 8);
    let [a, b] = two_lanes(&backlog);
    let first = submitter(&backlog, vec![of(&a, A, 0, QosLevel::High), of(&a, A, 1, QosLevel::High)]);
    let second = submitter(&backlog, vec![of(&b, B, 0, QosLevel::High)]);
    deliver(&backlog, &client, &records, 3);
    assert!(first.join().unwrap().is_empty() && second.join().unwrap().is_empty());
    assert_eq!((client.log(A), client.log(B)), (vec![0, 1], vec![0]));
    assert_empty(&backlog);
}

/// A record of low level takes the only room, finds that another one of its lane waits by now, and gives the room back.
fn room_is_given_back() {
    let (backlog, client, records) = open::<FixedSlot>(1, 8);
    let low = submitter(&backlog, vec![record(B, 0, QosLevel::Low)]);
    submit(&backlog, high(A, 0));
    let mut delivered = 0;
    loop {
        let record = records.recv().unwrap();
        acknowledge(&backlog, &client, &record);
        delivered += 1;
        if identity(record.record.key()) == (A, 0) {
            break;
        }
    }
    let failed = low.join().unwrap();
    assert!(failed.iter().all(|(_, error)| *error == PublishError::BufferFull));
    deliver(&backlog, &client, &records, 2 - delivered - failed.len());
    assert_empty(&backlog);
}

#[test]
fn a_lane_without_room_stops_no_other_and_has_its_turn_in_time() {
    check("a lane that is full lets others pass", Explore::All, lanes_pass_each_other);
    check("a lane that holds its share", Explore::All, a_lane_holds_its_share);
    check("two lanes and a full client", Explore::Preemptions(2), lanes_share_a_full_client);
    check("room is given back", Explore::All, room_is_given_back);
}

/// Takes a record back whose topic cannot be written to.
fn fail_topic(backlog: &Backlog<Model<FixedSlot>>, client: &ModelClient, returned: Waiting) {
    client.held.fetch_sub(1, Ordering::Relaxed);
    let (id, sequence) = (returned.context.target.lane(), returned.context.sequence);
    let mut unreported = Unreported::default();
    let error = PublishError::Broker { code: "UnknownTopic".into(), reason: "".into() };
    assert!(backlog.put_back_failed(returned, &error, &mut unreported).is_ok());
    let freed = backlog.free(id, 1);
    assert!(freed.may_be_probe, "the lane waits for its topic");
    backlog.probe_ended(id, sequence, Written::Unknown, &mut unreported);
}

/// The first record finds no topic; the second one is sent before that, or waits with it.
fn a_topic_fails_and_recovers() {
    let (backlog, client, records) = open::<FixedSlot>(3, 8);
    submit(&backlog, high(A, 0));
    let caller = submitter(&backlog, vec![high(A, 1)]);
    fail_topic(&backlog, &client, records.recv().unwrap());
    let mut delivered = Vec::new();
    while delivered.len() < 2 {
        let later = Instant::now() + std::time::Duration::from_secs(60);
        backlog.probe(later, &mut Unreported::default());
        let record = records.recv().unwrap();
        let (id, sequence) = (record.context.target.lane(), record.context.sequence);
        let (_, number) = identity(record.record.key());
        if number == 1 && delivered.is_empty() {
            fail_topic(&backlog, &client, record);
            continue;
        }
        delivered.push(number);
        client.held.fetch_sub(1, Ordering::Relaxed);
        let mut unreported = Unreported::default();
        let freed = backlog.free(id, 1);
        if freed.may_be_probe {
            backlog.probe_ended(id, sequence, Written::Yes, &mut unreported);
        }
        if freed.is_wanted {
            backlog.pump(&mut unreported);
        }
        assert!(unreported.failed.is_empty());
    }
    assert!(caller.join().unwrap().is_empty());
    assert_eq!(delivered, [0, 1]);
    assert_empty(&backlog);
}

#[test]
fn records_wait_for_a_topic_in_the_order_of_their_key() {
    check("a topic fails and recovers", Explore::Preemptions(2), a_topic_fails_and_recovers);
}
