//! What to type into another terminal while the demo runs.

use std::fmt::{self, Display};

use crate::setup::{Setup, TOPIC};

/// The addresses and commands of a running demo.
pub(crate) struct Guide<'a>(pub(crate) &'a Setup);

impl Display for Guide<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Guide(setup) = self;
        let addresses = setup.gateway.addresses;
        let api = format!("http://{}/api/v2", addresses.primary);
        let device = setup.fleet.id(0).unwrap_or("mac:112233445566");
        writeln!(
            f,
            "The gateway is at {}, with {} devices.",
            addresses.primary,
            setup.fleet.snapshot().online
        )?;
        writeln!(
            f,
            "Its events go to {} and to topic {TOPIC} at {}.",
            setup.receiver.url(),
            setup.brokers()
        )?;
        writeln!(f, "Its log is {}. To look around:", setup.log.display())?;
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
        writeln!(f, "  kcat -b {} -t {TOPIC} -C", setup.brokers())
    }
}
