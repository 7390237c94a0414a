//! Checks the names of the properties that go to librdkafka as they are. Their values are librdkafka's to check.

use super::{Faults, ZERO_BYTE};
use crate::config::{CLIENT_PROPERTIES, Config};

impl Config {
    pub(super) fn check_client_properties(&self, faults: &mut Faults) {
        for (at, (name, value)) in self.client_properties.iter().enumerate() {
            let key = || format!("clientProperties.{name}");
            if !CLIENT_PROPERTIES.contains(&name.as_str()) {
                faults.add(key(), format!("cannot be set: expected one of {}", CLIENT_PROPERTIES.join(", ")));
            }
            if self.client_properties[..at].iter().any(|(before, _)| before == name) {
                faults.add(key(), "is set twice");
            }
            if value.contains('\0') {
                faults.add(key(), ZERO_BYTE);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_properties_on_the_list_can_be_set() {
        let faults = |properties: &[(&str, &str)]| {
            let client_properties =
                properties.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            let config = Config { brokers: vec!["b:1".into()], client_properties, ..Config::default() };
            let faults = config.check().map_err(|error| error.0).err().unwrap_or_default();
            faults.into_iter().map(|fault| fault.key).collect::<Vec<_>>()
        };
        assert!(faults(&[("client.rack", "a"), ("socket.keepalive.enable", "true")]).is_empty());
        let wrong =
            [("enable.idempotence", "false"), ("client.id", "a\0"), ("client.rack", ""), ("client.rack", "")];
        let keys =
            ["enable.idempotence", "client.id", "client.rack"].map(|name| format!("clientProperties.{name}"));
        assert_eq!(faults(&wrong), keys);
    }
}
