//! A configuration that is printed.

use super::*;

#[test]
fn a_printed_configuration_reads_back_as_the_same_one() {
    let text = "server: '1.10'\ndevice:\n  outbound:\n    eventEndpoints:\n      default: http://a/b\n      Device-Status: [http://c, 'http://d/x=1,2']\n    allowedSchemes: [http, https]\nkafka:\n  enabled: true\n  brokers: [a:1]\n  initialDynamicConfig:\n    topicMap:\n    - {pattern: 'x\\**', topics: [a, b], topicShardStrategy: deviceid}\n    - pattern: '*'\n      topic: '5'\n      hashKey: {name: source}\n    headers:\n      X-ID: wrp.DeviceID\n      several: [wrp.Type, 'a,b', 'yes']\n    linger: 5000000\n";
    for text in ["", text] {
        let first = load_text(text, &[("TALARIA_REGION", "east # 1")]).unwrap();
        let second = load_text(&print(&first.tree), &[]).unwrap();
        assert_eq!(format!("{:?}", first.config), format!("{:?}", second.config), "{}", print(&first.tree));
    }
}

#[test]
fn a_printed_configuration_shows_where_its_values_come_from_and_hides_secrets() {
    let text = "inbound: {authKey: [dTpzZWNyZXQx]}\ndevice: {outbound: {authKey: dTpzZWNyZXQy, eventEndpoints: {default: 'https://u:secret3@h/x?secret5'}}}\nkafka:\n  sasl: {password: secret4}\n";
    let loaded = load_text(text, &[("TALARIA_SERVER", "t-1")]).unwrap();
    let printed = print(&loaded.tree);
    assert!(printed.contains("server: t-1                              # [environment TALARIA_SERVER] the header X-Talaria-Server of every response: the name of this host\n"), "{printed}");
    for hidden in ["secret3", "secret4", "secret5", "dTpzZWNyZXQ"] {
        assert!(!printed.contains(hidden), "{printed}");
    }
    for hidden in ["secret4", "dTpzZWNyZXQ"] {
        assert!(!format!("{:?}", loaded.config).contains(hidden));
    }
    assert!(printed.contains("https://********@h/x?********"), "{printed}");
    let faults = faults(&printed, &[]);
    assert_eq!(faults.len(), 4, "a mask is not a secret: {faults:?}");
    assert!(faults.iter().all(|fault| fault.contains("the mask of a printed configuration")), "{faults:?}");
}
