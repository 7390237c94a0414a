//! Hosts that devices name: what they get, and what they can cost (contract §5.8).

use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::mpsc;

use talaria_protocol::url::Origin;

use super::*;
use crate::event::config::{DnsConfig, NamedHosts};
use crate::event::http::dial::{Dialing, Lookup};

const ONE: &str = "mac:112233445501";
const OTHER: &str = "mac:112233445502";

/// Events go to `configured`; devices may name hosts of both schemes.
fn config() -> Config {
    Config {
        auth_key: Some(AuthKey::new("a2V5").unwrap()),
        allowed_schemes: vec!["http".to_owned(), "https".to_owned()],
        ..super::config("http://configured/")
    }
}

fn silent() -> Receiver {
    Receiver::answering(Answer::Silence)
}

/// Lets everything happen that needs no time.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

#[tokio::test(start_paused = true)]
async fn a_named_host_gets_no_credentials_and_no_second_request() {
    let named = Receiver::answering(Answer::Redirect(307, "http://configured/".to_owned()));
    let configured = Receiver::answering(Answer::Status(202));
    let bench = Bench::in_memory(&config(), [("named", named.clone()), ("configured", configured.clone())]);
    bench.send("dns:http://named/x", "body");
    bench.send("dns:http://user:password@named/x", "body");
    bench.drained().await;
    assert_eq!((named.requests().len(), configured.requests().len()), (2, 0));
    for request in named.requests() {
        assert!(request.headers.iter().all(|(name, _)| name != "Authorization"), "{:?}", request.headers);
    }
    assert_eq!(bench.verdicts(), [Verdict::ReceiverRefused; 2]);
    bench.assert_metric(r#"outbound_dropped_messages{code="307",reason="non202",scheme="dns"} 2"#);
    bench.send("event:iot/x", "body");
    bench.drained().await;
    assert!(configured.requests()[0].headers.iter().any(|(name, _)| name == "Authorization"));
}

#[tokio::test(start_paused = true)]
async fn events_for_configured_receivers_do_not_wait_for_hosts_that_hang() {
    let configured = Receiver::answering(Answer::Status(202));
    let bench = Bench::in_memory(&config(), [("*", silent()), ("configured", configured.clone())]);
    for number in 0..600 {
        bench.send_as(
            &format!("mac:1122334455{:02x}", number % 40),
            &format!("dns:http://h{number}/"),
            "body",
        );
    }
    settled().await;
    let start = Instant::now();
    for _ in 0..200 {
        bench.send("event:iot/x", "body");
    }
    configured.received(200).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn the_requests_of_a_device_to_a_host_and_in_all_are_bounded() {
    for (devices, hosts, running) in [(1, 50, 2), (20, 1, 8), (3, 50, 6), (40, 40, 32)] {
        let named = silent();
        let bench = Bench::in_memory(&config(), [("*", named.clone())]);
        for number in 0..200 {
            let device = format!("mac:1122334455{:02x}", number % devices);
            bench.send_as(&device, &format!("dns:http://h{}/", number / devices % hosts), "body");
        }
        settled().await;
        assert_eq!(named.requests().len(), running, "{devices} devices, {hosts} hosts");
    }
}

#[tokio::test(start_paused = true)]
async fn an_event_that_waits_for_its_host_does_not_hold_up_those_behind_it() {
    let (hangs, works) = (silent(), Receiver::answering(Answer::Status(202)));
    let dns = DnsConfig { max_requests_per_host: 1, ..DnsConfig::default() };
    let bench =
        Bench::in_memory(&Config { dns, ..config() }, [("hangs", hangs.clone()), ("works", works.clone())]);
    for dest in ["dns:http://hangs/", "dns:http://hangs/", "dns:http://works/"] {
        bench.send_as(ONE, dest, "body");
    }
    works.received(1).await;
    assert_eq!(hangs.requests().len(), 1);
    bench.drained().await;
    assert_eq!(hangs.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn devices_with_waiting_events_take_turns() {
    let named = Receiver::answering(Answer::After(Duration::from_secs(1)));
    let dns = DnsConfig { workers: 1, ..DnsConfig::default() };
    let bench = Bench::in_memory(&Config { dns, ..config() }, [("*", named.clone())]);
    for _ in 0..5 {
        bench.send_as(ONE, "dns:http://h/", "one");
    }
    bench.send_as(OTHER, "dns:http://h/", "other");
    bench.drained().await;
    let bodies: Vec<String> =
        named.requests().into_iter().map(|request| String::from_utf8(request.body).unwrap()).collect();
    assert!(bodies[..3].contains(&"other".to_owned()), "{bodies:?}");
    assert_eq!(bench.verdicts(), [DELIVERED; 6]);
}

#[tokio::test(start_paused = true)]
async fn a_device_exhausts_only_its_own_share() {
    let bench = Bench::in_memory(&config(), [("*", silent())]);
    for _ in 0..60 {
        bench.send_as(ONE, "dns:http://h/", "body");
    }
    settled().await;
    assert_eq!(bench.verdicts(), [Verdict::NotEnqueued; 10]);
    bench.send_as(OTHER, "dns:http://h/", "body");
    settled().await;
    assert_eq!(bench.verdicts().len(), 10);
    // All of them run out of time; then the share is free again.
    bench.drained().await;
    bench.send_as(ONE, "dns:http://h/", "body");
    settled().await;
    assert_eq!(bench.verdicts().len(), 61);
    bench.assert_metric("outbound_inflight 1");
    bench.assert_metric("outbound_queue_size 0");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_never_answers_costs_seconds() {
    let bench = Bench::in_memory(&config(), [("named", silent())]);
    let start = Instant::now();
    bench.send("dns:http://named/", "body");
    bench.drained().await;
    assert_eq!((start.elapsed().as_secs(), bench.verdicts()), (5, vec![Verdict::ReceiverUnreachable]));
    bench.assert_metric(
        r#"outbound_dropped_messages{code="message_dropped",reason="context_deadline_exceeded",scheme="dns"} 1"#,
    );
}

#[tokio::test(start_paused = true)]
async fn hosts_that_are_not_allowed_are_refused_by_name() {
    let listed = NamedHosts::Listed(vec!["*.example.com:80".parse().unwrap()]);
    for (hosts, dest, reason) in [
        (NamedHosts::None, "dns:http://a.example.com/", Some("dns_destinations_disabled")),
        (listed.clone(), "dns:http://example.com/", Some("host_not_allowed")),
        (listed.clone(), "dns:http://a.example.com:81/", Some("host_not_allowed")),
        (listed, "dns:http://A.example.com/", None),
        (NamedHosts::Public, "dns:http://example.org/", None),
    ] {
        let named = Receiver::answering(Answer::Status(202));
        let dns = DnsConfig { hosts, ..DnsConfig::default() };
        let bench = Bench::in_memory(&Config { dns, ..config() }, [("*", named.clone())]);
        bench.send(dest, "body");
        bench.drained().await;
        assert_eq!(named.requests().len(), usize::from(reason.is_none()), "{dest}");
        let Some(reason) = reason else { continue };
        assert_eq!(bench.verdicts(), [Verdict::NoRoute]);
        bench.assert_metric(&format!(
            r#"outbound_dropped_messages{{code="message_dropped",reason="{reason}",scheme="unknown"}} 1"#
        ));
        bench.assert_metric(&format!(
            r#"total_outbound_events{{outcome="failure",reason="{reason}",scheme="unknown"}} 1"#
        ));
    }
}

#[tokio::test]
async fn an_address_that_is_not_public_is_not_connected_to() {
    let named = Receiver::answering(Answer::Status(202));
    let port = named.listen().await.port();
    let bench = Bench::start(&config());
    let hosts = ["127.0.0.1", "localhost", "127.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0"];
    for host in hosts {
        bench.send(&format!("dns:http://{host}:{port}/"), "body");
    }
    bench.drained().await;
    assert_eq!((named.connections(), bench.verdicts()), (0, vec![Verdict::NoRoute; hosts.len()]));
    let labels = r#"code="message_dropped",reason="address_not_public",scheme="dns""#;
    bench.assert_metric(&format!("outbound_dropped_messages{{{labels}}} {}", hosts.len()));
}

/// Resolves names until the other end of the channel is dropped.
struct Unresolved {
    begun: Arc<AtomicUsize>,
    until: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl Dial for Unresolved {
    fn dial(&self, _: &Origin, lookup: &Lookup) -> Dialing {
        self.begun.fetch_add(1, Relaxed);
        let (until, lookup) = (Arc::clone(&self.until), lookup.clone());
        Box::pin(async move {
            lookup.run(move || until.lock().recv().is_ok()).await.map_err(PostError::Lookup)?;
            Err(PostError::Closed)
        })
    }
}

#[tokio::test]
async fn a_resolution_that_was_given_up_counts_as_a_request_until_it_ends() {
    let (release, until) = mpsc::channel();
    let (begun, until) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(until)));
    let dns = DnsConfig { connect_timeout: Duration::from_millis(5), ..DnsConfig::default() };
    let bench =
        Bench::dialling(&Config { dns, ..config() }, Arc::new(Unresolved { begun: begun.clone(), until }));
    for number in 0..5 {
        bench.send(&format!("dns:http://h{number}/"), "body");
    }
    while bench.verdicts().len() < 2 {
        tokio::task::yield_now().await;
    }
    assert_eq!(bench.verdicts(), [Verdict::ReceiverUnreachable; 2]);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(begun.load(Relaxed), 2, "two requests of a device");
    drop(release);
    bench.drained().await;
    assert_eq!((begun.load(Relaxed), bench.verdicts().len()), (5, 5));
}
