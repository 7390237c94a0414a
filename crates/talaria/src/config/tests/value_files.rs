//! Values that are kept in files of their own.

use super::*;
use crate::config::document::{restore_secrets, to_masked_json};

/// A directory with these files, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile("");
        for (name, text) in files {
            fs::write(folder.join(name), text).unwrap();
        }
        Self(folder)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// contract §9.4
#[test]
fn any_value_comes_from_a_file_that_a_key_or_a_variable_names() {
    let folder = Folder::new(&[("key", "YTpi\n"), ("brokers", "a:1\nb:2\n"), ("url", "https://u:p@h/x\r\n")]);
    let text = format!(
        "inbound: {{authKeyFile: {}}}\nkafka: {{enabled: true, brokersFile: {}}}\n",
        folder.path("key"),
        folder.path("brokers")
    );
    let variables = [
        ("TALARIA_HEALTH_AUTHKEY_FILE", folder.path("key")),
        ("TALARIA_DEVICE_OUTBOUND_EVENTENDPOINTS_DEFAULT_FILE", folder.path("url")),
        ("TALARIA_METRIC_AUTHKEY_0_FILE", folder.path("key")),
    ];
    let variables: Vec<_> = variables.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let loaded = load_text(&text, &variables).unwrap();
    assert!(loaded.config.api.auth.keys.is_some());
    assert_eq!(loaded.config.kafka.as_ref().unwrap().brokers, ["a:1", "b:2"]);
    assert!(loaded.config.health.as_ref().unwrap().guard.is_some());
    assert!(loaded.config.metric.as_ref().unwrap().guard.is_some());
    assert!(loaded.config.event.endpoints.get("x").is_some());

    // What is shown names the files, or masks what has no key of its own, and can be sent back.
    let shown = to_masked_json(&loaded.tree);
    assert_eq!(shown["inbound"]["authKeyFile"], folder.path("key"));
    assert_eq!(shown["inbound"].get("authKey"), None);
    assert_eq!(shown["device"]["outbound"]["eventEndpoints"]["default"], MASK);
    let printed = print(&loaded.tree);
    assert!(!printed.contains("YTpi") && !printed.contains("https://u"), "{printed}");
    assert!(printed.contains(&format!("authKeyFile: {}", folder.path("key"))), "{printed}");
    let mut document = yaml::control(&shown.to_string()).unwrap();
    restore_secrets(&mut document, &loaded.tree);
    let again = load(&Sources { document: Some(Arc::new(document)), ..Sources::default() }).unwrap();
    assert_eq!(format!("{:?}", again.config), format!("{:?}", loaded.config));
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_its_key_and_never_shown() {
    let folder = Folder::new(&[("empty", "\n"), ("large", &"x".repeat(65 * 1024)), ("key", "n0t-a-key")]);
    for (text, expected) in [
        (
            "inbound: {authKeyFile: DIR/missing}",
            "talaria.yaml:1: inbound.authKeyFile names DIR/missing, which cannot be read: No such file or directory (os error 2)",
        ),
        (
            "inbound: {authKeyFile: DIR/empty}",
            "talaria.yaml:1: inbound.authKeyFile names DIR/empty, which is empty",
        ),
        (
            "inbound: {authKeyFile: DIR}",
            "talaria.yaml:1: inbound.authKeyFile names DIR, which cannot be read: it is not a file",
        ),
        (
            "inbound: {authKeyFile: DIR/large}",
            "talaria.yaml:1: inbound.authKeyFile names DIR/large, which cannot be read: it is larger than 65536 bytes",
        ),
        (
            "inbound: {authKeyFile: DIR/key}",
            "talaria.yaml:1 (DIR/key): inbound.authKey is a hidden value, expected base64 of user:password, one or a list",
        ),
        (
            "device: {manager: {maxDevicesFile: DIR/key}}",
            "talaria.yaml:1 (DIR/key): device.manager.maxDevices is a hidden value, expected a whole number",
        ),
        (
            "kafka: {enabled: true, brokersFile: DIR/key, initialDynamicConfig: {acksFile: DIR/key}}",
            "talaria.yaml:1 (DIR/key): kafka.initialDynamicConfig.acks is a hidden value, expected all, leader or none",
        ),
        (
            "inbound: {authKey: YTpi, authKeyFile: DIR/key}",
            "talaria.yaml:1: inbound.authKeyFile is set beside authKey, expected one of them",
        ),
        (
            "inbound: {authKeyFile: [x]}",
            "talaria.yaml:1: inbound.authKeyFile is not a text, expected the path of a file",
        ),
    ] {
        let directory = folder.path("");
        let text = text.replace("DIR", directory.trim_end_matches('/'));
        let Err(error) = load_text(&text, &[]) else { panic!("{text}") };
        let found = error.to_string().replace(directory.trim_end_matches('/'), "DIR");
        let found = without_directory(found.lines().map(str::to_owned)).join("\n");
        assert_eq!(found, expected, "{text}");
    }
    let key = folder.path("key");
    let both = [("TALARIA_INBOUND_AUTHKEY", "YTpi"), ("TALARIA_INBOUND_AUTHKEY_FILE", key.as_str())];
    let found = faults("", &both);
    assert!(found.len() == 1 && found[0].contains("is set twice in the environment"), "{found:?}");
}

/// What the environment sets wins over the file, whichever of the two ways each of them takes.
#[test]
fn a_secret_of_the_environment_wins_over_the_file_of_a_secret_below_it() {
    let folder = Folder::new(&[("one", "from-one"), ("two", "from-two")]);
    let kafka = |sasl: &str| {
        format!("kafka: {{enabled: true, brokers: [a:1], sasl: {{mechanism: PLAIN, username: u, {sasl}}}}}\n")
    };
    let (one, two) = (folder.path("one"), folder.path("two"));
    for (sasl, variable, value, expected) in [
        (format!("passwordFile: {one}"), "TALARIA_KAFKA_SASL_PASSWORD", "text", ("text", "")),
        ("password: text".to_owned(), "TALARIA_KAFKA_SASL_PASSWORD_FILE", &*two, ("", &*two)),
        (format!("passwordFile: {one}"), "TALARIA_KAFKA_SASL_PASSWORD_FILE", &*two, ("", &*two)),
    ] {
        let sasl = load_text(&kafka(&sasl), &[(variable, value)]).unwrap().config.kafka.unwrap().sasl;
        assert_eq!((sasl.password.reveal(), sasl.password_file.as_str()), expected);
    }
}
