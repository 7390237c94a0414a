//! How to look around in a running demo.

use std::fmt::{self, Display};

use super::stage::{Stage, TOPIC};

/// What to type into another terminal.
pub(super) struct Guide<'a>(pub(super) &'a Stage);

impl Display for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Guide(stage) = self;
        let addresses = stage.gateway.addresses;
        let api = format!("http://{}/api/v2", addresses.primary);
        let device = stage.fleet.id(0).unwrap_or("mac:112233445566");
        writeln!(
            f,
            "The gateway is at {}, with {} devices.",
            addresses.primary,
            stage.fleet.snapshot().online
        )?;
        writeln!(
            f,
            "Its events go to {} and to topic {TOPIC} at {}.",
            stage.receiver.url(),
            stage.brokers()
        )?;
        writeln!(f, "Its log is {}. To look around:", stage.gateway.log.display())?;
        writeln!(f)?;
        writeln!(f, "  curl {api}/devices")?;
        writeln!(f, "  curl {api}/device/{device}/stat")?;
        writeln!(f, "  curl http://{}/metrics", addresses.metric)?;
        writeln!(f, "  curl http://{}/health", addresses.health)?;
        writeln!(
            f,
            "  curl -u any:one -H 'Content-Type: application/json' -H 'Accept: application/json' \\"
        )?;
        writeln!(
            f,
            "    -d '{{\"msg_type\":3,\"source\":\"dns:me\",\"dest\":\"{device}/config\",\
             \"transaction_uuid\":\"1\",\"payload\":\"aGVsbG8=\"}}' \\"
        )?;
        writeln!(f, "    {api}/device/send")?;
        writeln!(f, "  kcat -b {} -t {TOPIC} -C", stage.brokers())
    }
}
