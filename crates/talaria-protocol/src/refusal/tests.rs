//! Who is refused, for how long, and who never is.

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Three connections within a minute, each for a minute.
fn rules() -> RefusalRules {
    let three = Some(Rate::within(3, seconds(60)));
    RefusalRules {
        connects_per_id: three,
        connects_per_address: three,
        flood_time: Some(seconds(10)),
        floods_per_address: Some(2),
        time: seconds(60),
        allowed_ids: HashSet::from([id("uuid:allowed")]),
        allowed_addresses: vec!["10.0.0.0/8".parse().unwrap()],
    }
}

fn id(text: &str) -> DeviceId {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn an_id_that_connects_too_often_is_refused_for_a_time() {
    let mut refusals = Refusals::new(rules());
    let mut connects = |at| refusals.check_id(&id("uuid:a"), true, None, seconds(at));
    for at in 0..3 {
        assert_eq!(connects(at), Ok(()));
    }
    let refused = connects(10).unwrap_err();
    assert_eq!(refused.wait, seconds(60));
    let subject = Subject::Id { id: id("uuid:a"), has_token: true };
    assert_eq!(
        refused.begins,
        Some(RefusalBegin { subject: subject.clone(), reason: RefusalReason::Flapping })
    );
    assert_eq!(connects(69), Err(RefusedError { wait: seconds(1), begins: None }), "it is not longer");
    for at in 70..73 {
        assert_eq!(connects(at), Ok(()), "counting begins anew");
    }
    assert!(connects(73).unwrap_err().begins.is_some());
    assert_eq!(refusals.take_ended(seconds(73)), [RefusalEnd { subject, connects: 2 }]);
    assert_eq!(refusals.take_ended(seconds(73)), []);
    assert_eq!(refusals.next_end(), Some(seconds(133)));
}

#[test]
fn other_ids_and_the_same_id_with_a_token_are_not_affected() {
    let mut refusals = Refusals::new(rules());
    for _ in 0..100 {
        let _ = refusals.check_id(&id("uuid:a"), false, Some(ip("192.0.2.1")), seconds(1));
    }
    assert!(refusals.check_id(&id("uuid:a"), false, None, seconds(1)).is_err());
    assert_eq!(refusals.check_id(&id("uuid:a"), true, None, seconds(1)), Ok(()));
    assert_eq!(refusals.check_id(&id("uuid:b"), false, None, seconds(1)), Ok(()));
    assert_eq!(refusals.check_address(ip("192.0.2.1"), seconds(1)), Ok(()));
}

#[test]
fn an_address_is_an_ipv4_address_or_a_64_of_ipv6() {
    let mut refusals = Refusals::new(rules());
    for last in 1..=3 {
        let address = ip(&format!("2001:db8::{last}"));
        assert_eq!(refusals.check_address(address, seconds(0)), Ok(()));
    }
    let refused = refusals.check_address(ip("2001:db8::4"), seconds(0)).unwrap_err();
    assert_eq!(refused.begins.unwrap().subject.to_string(), "2001:db8::/64");
    assert_eq!(refusals.check_address(ip("2001:db8:0:1::1"), seconds(0)), Ok(()));
    assert_eq!(refusals.check_address(ip("192.0.2.1"), seconds(0)), Ok(()));
}

#[test]
fn a_device_that_exceeds_its_rate_for_long_is_refused_and_many_of_an_address_are_with_it() {
    let mut refusals = Refusals::new(rules());
    let address = Some(ip("192.0.2.1"));
    let mut exceeded = |name: &str, lasts| refusals.exceeded(&id(name), false, address, lasts, seconds(100));
    assert_eq!(exceeded("uuid:a", seconds(9)), None);
    let subjects = |begun: Option<Vec<RefusalBegin>>| -> Vec<String> {
        let begun = begun.unwrap();
        assert!(begun.iter().all(|refusal| refusal.reason == RefusalReason::Flooding));
        begun.iter().map(|refusal| refusal.subject.to_string()).collect()
    };
    assert_eq!(subjects(exceeded("uuid:a", seconds(10))), ["uuid:a (without a token)"]);
    assert_eq!(exceeded("uuid:a", seconds(20)), Some(Vec::new()), "it is refused already");
    assert_eq!(subjects(exceeded("uuid:b", seconds(10))), ["uuid:b (without a token)"]);
    assert_eq!(subjects(exceeded("uuid:c", seconds(10))), ["uuid:c (without a token)", "192.0.2.1"]);
    assert!(refusals.check_id(&id("uuid:a"), false, None, seconds(159)).is_err());
    assert!(refusals.check_address(ip("192.0.2.1"), seconds(159)).is_err());
    assert_eq!(refusals.check_address(ip("192.0.2.1"), seconds(160)), Ok(()));
    assert_eq!(refusals.take_ended(seconds(160)).len(), 4);
}

#[test]
fn what_is_on_the_list_is_never_refused() {
    let mut refusals = Refusals::new(rules());
    for _ in 0..100 {
        assert_eq!(refusals.check_address(ip("10.1.2.3"), seconds(0)), Ok(()));
        assert_eq!(refusals.check_id(&id("uuid:allowed"), false, None, seconds(0)), Ok(()));
        assert_eq!(refusals.check_id(&id("uuid:a"), false, Some(ip("10.1.2.3")), seconds(0)), Ok(()));
    }
    assert_eq!(refusals.exceeded(&id("uuid:allowed"), true, None, seconds(99), seconds(0)), None);
    assert_eq!(refusals.exceeded(&id("uuid:a"), true, Some(ip("10.1.2.3")), seconds(99), seconds(0)), None);
    assert_eq!(refusals.next_end(), None);
}

#[test]
fn any_number_of_ids_takes_bounded_memory() {
    let mut refusals = Refusals::new(rules());
    let mut ended = 0;
    for number in 0..40_000 {
        let id = id(&format!("uuid:{number}"));
        for _ in 0..4 {
            let _ = refusals.check_id(&id, false, None, seconds(0));
        }
        assert!(refusals.refused.len() <= REFUSED && refusals.order.len() <= REFUSED);
        assert!(refusals.counted.len() <= 2 * COUNTED);
        ended += refusals.take_ended(seconds(0)).len();
    }
    assert_eq!(ended, 40_000 - REFUSED, "each refusal ends once, if early");
}

#[test]
fn rules_without_a_limit_are_not_active() {
    let off = RefusalRules { connects_per_id: None, connects_per_address: None, flood_time: None, ..rules() };
    assert!(!off.is_active());
    let mut refusals = Refusals::new(off);
    for _ in 0..1000 {
        assert_eq!(refusals.check_address(ip("192.0.2.1"), seconds(0)), Ok(()));
    }
    assert!(refusals.counted.is_empty());
    assert!(rules().is_active());
}

#[test]
fn other_rules_shorten_refusals_and_none_end_them() {
    let mut refusals = Refusals::new(rules());
    let connect = |refusals: &mut Refusals, name: &str, at| {
        refusals.check_id(&id(name), true, None, seconds(at)).map_err(|refused| refused.wait)
    };
    for name in ["uuid:a", "uuid:b"] {
        let connects = [(); 4].map(|()| connect(&mut refusals, name, 0).is_ok());
        assert_eq!(connects, [true, true, true, false]);
    }
    refusals.set_rules(RefusalRules { time: seconds(30), ..rules() }, seconds(20));
    assert_eq!(connect(&mut refusals, "uuid:a", 20), Err(seconds(30)));
    refusals.set_rules(RefusalRules { time: seconds(3600), ..rules() }, seconds(20));
    assert_eq!(connect(&mut refusals, "uuid:a", 20), Err(seconds(30)), "none is longer than it was");
    let connects = [(); 4].map(|()| connect(&mut refusals, "uuid:c", 21).is_ok());
    assert_eq!(connects, [true, true, true, false]);
    assert_eq!(refusals.take_ended(seconds(50)).len(), 2);
    assert_eq!(connect(&mut refusals, "uuid:c", 50), Err(seconds(3571)), "a new one has the new time");
    refusals.set_rules(RefusalRules::none(), seconds(51));
    assert_eq!(connect(&mut refusals, "uuid:c", 51), Ok(()));
    assert_eq!(refusals.take_ended(seconds(51)).len(), 1);
}
