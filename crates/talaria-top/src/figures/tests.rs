//! What figures are made of, from two pages of one gateway and of several.

use std::time::Duration;

use super::*;
use crate::reading::Reading;

fn reading(lines: &str) -> Reading {
    Reading::of(&format!("t_max_device_count 0\n{lines}")).unwrap()
}

/// Two seconds lie between the two pages.
fn figures(before: &str, now: &str) -> Figures {
    Figures::of(&reading(now), Some((&reading(before), Duration::from_secs(2))))
}

#[test]
fn before_the_second_page_there_are_gauges_and_no_rates() {
    let figures = Figures::of(&reading("t_device_count 5\nt_connect_count 7\n"), None);
    assert_eq!((figures.devices.connected, figures.devices.connects), (Some(5.0), None));
    assert_eq!((figures.lost(), figures.http.delivered, figures.process.cpu), (None, None, None));
    assert_eq!(figures.http.latency.quantile(0.5), None);
}

#[test]
fn a_family_that_the_page_does_not_have_yet_has_the_rate_0() {
    let figures = figures("", "");
    assert_eq!((figures.devices.connects, figures.lost()), (Some(0.0), Some(0.0)));
    assert!(figures.lost().unwrap().is_sign_positive(), "it is not printed as -0");
    assert_eq!(figures.devices.connected, None, "a gauge is unknown");
}

#[test]
fn losses_are_what_was_dropped_by_http_and_what_kafka_failed() {
    let lines = |times: u32| {
        format!(
            "outbound_requests{{code=\"202\",reason=\"no_err\",scheme=\"event\"}} {}\n\
             outbound_requests{{code=\"500\",reason=\"non202\",scheme=\"event\"}} {}\n\
             outbound_dropped_messages{{code=\"500\",reason=\"non202\",scheme=\"event\"}} {}\n\
             outbound_dropped_messages{{code=\"message_dropped\",reason=\"dns_error\",scheme=\"event\"}} {}\n\
             outbound_dropped_messages{{code=\"message_dropped\",reason=\"dns_error\",scheme=\"dns\"}} {}\n\
             kafka_messages_published_total{{error_type=\"success\",topic=\"a\"}} {}\n\
             kafka_messages_published_total{{error_type=\"timeout\",topic=\"a\"}} {}\n",
            20 * times,
            6 * times,
            2 * times,
            4 * times,
            4 * times,
            10 * times,
            2 * times
        )
    };
    let figures = figures(&lines(1), &lines(2));
    assert_eq!(figures.http.delivered, Some(10.0));
    assert_eq!(figures.http.dropped.largest_first(), [("dns_error", 4.0), ("non202", 1.0)]);
    assert_eq!((figures.kafka.delivered, figures.kafka.failed.total()), (Some(5.0), Some(1.0)));
    assert_eq!(figures.lost(), Some(6.0));
}

#[test]
fn kafka_is_not_used_as_long_as_nothing_points_to_it() {
    let used = |lines: &str| {
        let kafka = figures("", lines).kafka;
        (kafka.used, kafka.up)
    };
    assert_eq!(used("kafka_up 0\n"), (0, 0), "as without Kafka");
    assert_eq!(used("kafka_up 1\n"), (1, 1));
    assert_eq!(used("kafka_up 0\nt_connect_errors_total{node_id=\"seed_0\"} 3\n"), (1, 0));
    assert_eq!(used("kafka_up 0\npublish_outcome_total{outcome=\"Failed\"} 1\n"), (1, 0));
}

#[test]
fn receivers_are_counted_by_the_state_of_their_breaker() {
    let states = |lines: &str| figures("", lines).http.receivers;
    assert_eq!(states("outbound_receiver_state{origin=\"none\"} 0\n"), Receivers::default());
    let three = "outbound_receiver_state{origin=\"a\"} 0\noutbound_receiver_state{origin=\"b\"} 1\n\
                 outbound_receiver_state{origin=\"c\"} 2\n";
    assert_eq!(states(three), Receivers { all: 3, tried: 1, open: 1 });
}

#[test]
fn figures_of_a_fleet_are_sums_and_the_worst_of_what_has_a_limit() {
    let gateway = |devices: u32, limit: u32, files: u32, generation: u32, reload: u32, gate: u32| {
        figures(
            "",
            &format!(
                "t_device_count {devices}\nt_max_device_count {limit}\np_process_start_time_seconds 1\n\
                 p_process_open_fds {files}\np_process_max_fds 100\nt_config_generation {generation}\n\
                 t_config_last_reload_successful {reload}\ngate_status {gate}\nkafka_waiting_utilization 0.{files}\n\
                 outbound_queue_size 0\n"
            ),
        )
    };
    let gateways = [gateway(5, 10, 20, 1, 1, 1), gateway(6, 10, 80, 3, 0, 0)];
    let fleet = Figures::of_fleet(gateways.iter());
    assert_eq!((fleet.devices.connected, fleet.devices.limit), (Some(11.0), Some(20.0)));
    assert_eq!(fleet.process.files, Some(Share { used: 80.0, limit: 100.0 }));
    assert_eq!(fleet.kafka.backlog, Some(0.8));
    let config = &fleet.config;
    assert_eq!((config.generations, config.faulty, config.gates_closed), (Some((1.0, 3.0)), 1, 1));
    let unlimited = Figures::of_fleet([&gateways[0], &gateway(1, 0, 1, 1, 1, 1)].into_iter());
    assert_eq!(unlimited.devices.limit, Some(0.0), "one without a limit");
}
