//! Vectors: the sections with which the reference starts, and those with which it does not.

use crate::config::tests::load_text;
use crate::event::{AckPolicy, NamedHosts, Order, RetryOn};

#[test]
fn vectors_http_dispatch_setup() {
    vectors::run("http_dispatch.json", |case| {
        let section = case.value["yaml"].as_str().unwrap_or_default();
        let loaded = load_text(&format!("device:\n  outbound:\n{section}"), &[]);
        match (loaded, case.value["setup_error"].as_str()) {
            (Ok(_), None) | (Err(_), Some(_)) => Ok(()),
            (Ok(_), Some(error)) => Err(format!("starts, though the reference says: {error}")),
            (Err(error), None) => Err(format!("does not start: {error}")),
        }
    });
}

#[test]
fn hosts_that_devices_may_name() {
    let listed =
        |hosts: &[&str]| NamedHosts::Listed(hosts.iter().map(|host| host.parse().unwrap()).collect());
    for (keys, hosts) in [
        ("", NamedHosts::Public),
        ("allowPrivate: true", NamedHosts::Any),
        ("enabled: false, allowPrivate: true", NamedHosts::None),
        ("allowedHosts: 'a.example.com, *.b:80'", listed(&["a.example.com", "*.b:80"])),
        ("allowedHosts: ['[::1]:80'], allowPrivate: true", listed(&["[::1]:80"])),
    ] {
        let loaded = load_text(&format!("device: {{outbound: {{dns: {{{keys}}}}}}}"), &[]).unwrap();
        assert_eq!(loaded.config.event.dns.hosts, hosts, "{keys}");
    }
    let loaded = load_text("device: {outbound: {dns: {allowedHosts: ['http://h/x']}}}", &[]);
    let fault = loaded.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(fault.contains("device.outbound.dns.allowedHosts") && fault.contains("*.example.com"), "{fault}");
}

#[test]
fn what_is_tried_again_is_a_list_of_statuses_and_two_words() {
    let on =
        |items: &[&str]| RetryOn::parse(&items.iter().map(|item| (*item).to_owned()).collect::<Vec<_>>());
    for (text, items) in [
        ("[408, 429, 504]", &["408", "429", "504"][..]),
        ("[connect, 503]", &["503", "connect"]),
        ("'reset, 404'", &["404", "reset"]),
        ("[]", &[]),
    ] {
        let loaded = load_text(&format!("device: {{outbound: {{retryOn: {text}}}}}"), &[]).unwrap();
        assert_eq!(Some(loaded.config.event.retry.on), on(items), "{text}");
    }
    for text in ["[200]", "[302]", "[600]", "[timeout]", "[503, '']"] {
        let loaded = load_text(&format!("device: {{outbound: {{retryOn: {text}}}}}"), &[]);
        let fault = loaded.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(fault.contains("device.outbound.retryOn") && fault.contains("connect and reset"), "{fault}");
    }
}

#[test]
fn the_policy_of_acknowledgements_is_kafka_or_all() {
    for (text, policy) in [("''", AckPolicy::Kafka), ("kafka", AckPolicy::Kafka), ("all", AckPolicy::All)] {
        let loaded = load_text(&format!("device: {{outbound: {{ackPolicy: {text}}}}}"), &[]).unwrap();
        assert_eq!(loaded.config.event.ack_policy, policy, "{text}");
    }
    let loaded = load_text("device: {outbound: {ackPolicy: http}}", &[]);
    let fault = loaded.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(fault.contains("device.outbound.ackPolicy is \"http\", expected kafka or all"), "{fault}");
}

#[test]
fn credentials_that_cannot_be_used_are_faults_all_at_once() {
    let loaded = load_text(
        "device:\n  outbound:\n    credentials:\n    - signature: {}\n    - url: ftp://h\n    - url: https://h\n      signature: \
         {keyFile: /nowhere/keys, format: sha9}\n    - url: https://h\n      signature: {format: webpa}\n    - url: https://h/path\n      tls: \
         {caFile: /nowhere/ca}\n    - url: http://h\n      tls: {certificateFile: /nowhere/certificate}\n    - url: http://h\n      oauth2: {tokenURL: nonsense}\n",
        &[],
    );
    let fault = loaded.err().map(|error| error.to_string()).unwrap_or_default();
    for expected in [
        "device.outbound.credentials[0].url is missing",
        "device.outbound.credentials[1].url is \"ftp://h\", expected a URL",
        "device.outbound.credentials[2].signature.format is \"sha9\", expected standard or webpa",
        "device.outbound.credentials[2].signature.keyFile names /nowhere/keys, which is not readable",
        "device.outbound.credentials[3].signature.keyFile is absent, expected a file",
        "device.outbound.credentials[4].tls is for a URL with a path",
        "device.outbound.credentials[4].tls.caFile names /nowhere/ca, which was not read",
        "device.outbound.credentials[5].tls is for a URL of http",
        "device.outbound.credentials[6].oauth2.tokenURL is \"nonsense\", expected the URL of a token server",
        "device.outbound.credentials[6].oauth2.clientID is absent",
        "device.outbound.credentials[6].oauth2.clientSecretFile is absent",
        "device.outbound.credentials[5].tls.keyFile is absent",
    ] {
        assert!(fault.contains(expected), "no {expected:?} in\n{fault}");
    }
}

#[test]
fn a_weight_that_starves_a_partner_or_is_too_large_is_a_fault_with_all_others() {
    let loaded = load_text(
        "device: {outbound: {order: fifo, partnerWeights: {ok: 3, 'a.b': 0, b: -1, c: 101, e: x, f: [1]}}}",
        &[],
    );
    let fault = loaded.err().map(|error| error.to_string()).unwrap_or_default();
    for (partner, value) in [("a.b", "0"), ("b", "-1"), ("c", "101"), ("e", "\"x\""), ("f", "a list")] {
        let line = format!(
            "device.outbound.partnerWeights.{partner} is {value}, expected a weight, a whole number from 1 to 100"
        );
        assert!(fault.contains(&line), "{line}\n{fault}");
    }
    assert!(fault.contains("device.outbound.order is \"fifo\", expected none or device"), "{fault}");
}

#[test]
fn the_order_is_none_or_that_of_each_device() {
    for (text, order) in [("''", Order::None), ("none", Order::None), ("device", Order::Device)] {
        let loaded = load_text(&format!("device: {{outbound: {{order: {text}}}}}"), &[]).unwrap();
        assert_eq!(loaded.config.event.order, order, "{text}");
    }
}
