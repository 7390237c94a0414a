//! The arithmetic, with numbers that can be checked in the head.

use std::time::Duration;

use super::{Bound, Connection, Costs, FarEnds, Fleet, Host, Inputs, Plan, PlanError, Sites};

/// A million devices whose plan can be calculated in the head.
fn inputs() -> Inputs {
    Inputs {
        fleet: Fleet {
            devices: "1e6".parse().unwrap(),
            connection: Connection::Tls,
            events: "86.4".parse().unwrap(),
            acknowledged: "50%".parse().unwrap(),
            event_size: "1000B".parse().unwrap(),
            requests: "8.64".parse().unwrap(),
            connects: "0".parse().unwrap(),
            ping_period: Duration::from_secs(50),
            peak: "2".parse().unwrap(),
        },
        host: Host {
            cores: "2".parse().unwrap(),
            used: "50%".parse().unwrap(),
            memory: "3GiB".parse().unwrap(),
            reserved: "1GiB".parse().unwrap(),
            open_files: "251000".parse().unwrap(),
        },
        sites: Sites { sites: "3".parse().unwrap(), spare: 1 },
        far_ends: FarEnds {
            receivers: 2,
            latency: Duration::from_millis(10),
            partition_rate: "300".parse().unwrap(),
        },
        costs: Costs {
            event: Duration::from_micros(300),
            event_without_ack: Duration::from_micros(100),
            request: Duration::from_micros(500),
            ping: Duration::from_micros(20),
            connect: Duration::from_micros(500),
            resumed_connect: Duration::from_micros(100),
            device: "1KiB".parse().unwrap(),
            kernel: "3KiB".parse().unwrap(),
        },
    }
}

fn count(number: &str) -> super::Count {
    number.parse().unwrap()
}

#[test]
fn cores_are_rates_times_costs() {
    let plan = Plan::of(inputs()).unwrap();
    assert_eq!(plan.events.to_string(), "2,000/s");
    assert_eq!(plan.requests.to_string(), "200/s");
    assert_eq!(plan.pings.to_string(), "20,000/s");
    assert_eq!(plan.event_cores.to_string(), "0.40", "1,000 with 300 µs and 1,000 with 100 µs");
    assert_eq!(plan.request_cores.to_string(), "0.10");
    assert_eq!(plan.ping_cores.to_string(), "0.40");
    assert_eq!(plan.cores().to_string(), "0.90");
}

#[test]
fn the_scarcest_decides_how_many_gateways_carry_the_fleet() {
    let plan = Plan::of(inputs()).unwrap();
    assert_eq!((plan.by_memory, plan.by_open_files, plan.by_cores), (count("2"), count("4"), count("1")));
    assert_eq!((plan.needed(), plan.bound()), (count("4"), Some(Bound::OpenFiles)));

    let mut small = inputs();
    small.host.memory = "2GiB".parse().unwrap();
    small.host.open_files = count("10e6");
    let plan = Plan::of(small).unwrap();
    assert_eq!(
        (plan.needed(), plan.bound()),
        (count("4"), Some(Bound::Memory)),
        "3.8 GiB in gateways with 1 GiB for devices"
    );

    let mut busy = inputs();
    busy.fleet.events = "864".parse().unwrap();
    let plan = Plan::of(busy).unwrap();
    assert_eq!(
        (plan.needed(), plan.bound()),
        (count("5"), Some(Bound::Cores)),
        "4.5 cores in gateways that use one"
    );
}

#[test]
fn the_other_sites_carry_all_when_one_fails() {
    let plan = Plan::of(inputs()).unwrap();
    assert_eq!(plan.gateways_of_a_site, count("3"), "two of the four, and a spare one");
    assert_eq!(plan.gateways, count("9"));
    assert_eq!(plan.most_devices_of_a_gateway, count("250000"));
    assert_eq!(plan.device_memory.to_string(), "977 MiB");
    assert_eq!(plan.kernel_memory().to_string(), "732 MiB");

    let mut alone = inputs();
    alone.sites = Sites { sites: count("1"), spare: 1 };
    let plan = Plan::of(alone).unwrap();
    assert_eq!((plan.gateways, plan.takeover.devices), (count("5"), count("200000")));
}

#[test]
fn a_failed_sites_devices_are_back_when_half_of_the_cores_have_served_their_handshakes() {
    let takeover = Plan::of(inputs()).unwrap().takeover;
    assert_eq!(takeover.devices, count("333334"));
    assert_eq!(takeover.time.as_millis(), 27_777, "a third of a million by 500 µs on half of twelve cores");
}

#[test]
fn a_sites_own_gateways_resume_the_sessions_of_their_devices_after_its_network_was_cut() {
    let after_cut = Plan::of(inputs()).unwrap().after_cut;
    assert_eq!(after_cut.devices, count("333334"));
    assert_eq!(after_cut.full.as_millis(), 55_555, "a third of a million by 500 µs on half of six cores");
    assert_eq!(after_cut.resumed.as_millis(), 11_111, "by 100 µs");
}

#[test]
fn the_only_gateway_takes_its_devices_back_itself() {
    let mut only = inputs();
    only.fleet.devices = count("1000");
    only.sites = Sites { sites: count("1"), spare: 0 };
    let plan = Plan::of(only).unwrap();
    assert_eq!((plan.gateways, plan.takeover.devices), (count("1"), count("1000")));
    assert_eq!(plan.takeover.time, Duration::from_millis(500));
    assert_eq!((plan.after_cut.devices, plan.after_cut.full), (count("1000"), Duration::from_millis(500)));
    assert_eq!(plan.bound(), None);
}

#[test]
fn connections_are_what_is_under_way_at_the_peak() {
    let plan = Plan::of(inputs()).unwrap();
    assert_eq!(plan.connections_to_a_receiver, count("5"), "500 events/s of a gateway, 10 ms each");
    assert_eq!(plan.connections_to_receivers, 5 * 2 * 9);
    assert_eq!(plan.partitions, count("7"));
    assert_eq!(plan.event_bytes.to_string(), "1.9 MiB");
}

#[test]
fn each_connect_has_an_online_and_an_offline_event() {
    let mut inputs = inputs();
    inputs.fleet.events = "0".parse().unwrap();
    inputs.fleet.connects = "86.4".parse().unwrap();
    let plan = Plan::of(inputs).unwrap();
    assert_eq!((plan.connects.to_string(), plan.events.to_string()), ("2,000/s".into(), "4,000/s".into()));
    assert_eq!(plan.event_cores.to_string(), "0.00");
    assert_eq!(
        plan.connect_cores.to_string(),
        "1.2",
        "500 µs with the online event, 100 µs for the offline event"
    );
}

#[test]
fn a_gateway_without_room_for_devices_makes_no_plan() {
    let mut small = inputs();
    small.host.memory = small.host.reserved;
    assert!(matches!(Plan::of(small), Err(PlanError::Memory { .. })));
    let mut few = inputs();
    few.host.open_files = count("1000");
    assert_eq!(Plan::of(few), Err(PlanError::OpenFiles(count("1000"))));
    let mut unused = inputs();
    unused.host.used = "0%".parse().unwrap();
    assert_eq!(Plan::of(unused), Err(PlanError::Unused));
}
