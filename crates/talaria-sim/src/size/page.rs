//! The tables of docs/scaling.md.

use std::time::Duration;

use super::costs::{CPU_COSTS, MEMORY_COSTS};
use super::plan::Plan;
use super::report::seconds;
use super::units::thousands;

/// A row of the table of fleets: its name, and how it is read from a plan over TLS and from one without.
type Row = (&'static str, fn(&Plan, &Plan) -> String);

const ROWS: [Row; 17] = [
    ("events, at the peak", |tls, _| tls.events.to_string()),
    ("pings", |tls, _| tls.pings.to_string()),
    ("cores for events", |tls, _| tls.event_cores.to_string()),
    ("cores for requests", |tls, _| tls.request_cores.to_string()),
    ("cores for connects and disconnects", |tls, _| tls.connect_cores.to_string()),
    ("cores for pings", |tls, _| tls.ping_cores.to_string()),
    ("gateways that carry the fleet", |tls, _| tls.needed_and_why()),
    ("gateways, with one site and one of each site spare", |tls, _| tls.gateways.to_string()),
    ("devices of a gateway when a site has failed", |tls, _| tls.most_devices_of_a_gateway.to_string()),
    ("memory of these devices; of it the kernel's", |tls, _| {
        format!("{}; {}", tls.device_memory, tls.kernel_memory())
    }),
    ("memory of all devices; without TLS", |tls, plain| {
        format!("{}; {}", tls.device_memory_in_all, plain.device_memory_in_all)
    }),
    ("connections to the receiver, of a gateway; of all", |tls, _| {
        format!("{}; {}", tls.connections_to_a_receiver, thousands(tls.connections_to_receivers))
    }),
    ("Kafka partitions", |tls, _| tls.partitions.to_string()),
    ("bytes of events in a second, to Kafka and to the receiver", |tls, _| tls.event_bytes.to_string()),
    ("devices of a site that fails", |tls, _| tls.takeover.devices.to_string()),
    ("until they are back at the other sites; without TLS", |tls, plain| {
        format!("{}; {}", seconds(tls.takeover.time), seconds(plain.takeover.time))
    }),
    (
        "until a site's devices are back after its network was cut; with full handshakes; without TLS",
        |tls, plain| {
            format!(
                "{}; {}; {}",
                seconds(tls.after_cut.resumed),
                seconds(tls.after_cut.full),
                seconds(plain.after_cut.full)
            )
        },
    ),
];

/// A table of fleets, each with its plan over TLS and its plan without.
#[must_use]
pub fn fleets_table(fleets: &[(Plan, Plan)]) -> String {
    let mut table = String::from("| devices |");
    for (tls, _) in fleets {
        table += &format!(" {} |", tls.inputs.fleet.devices);
    }
    table += &format!("\n|---|{}\n", "---|".repeat(fleets.len()));
    for (name, read) in ROWS {
        table += &format!("| {name} |");
        for (tls, plain) in fleets {
            table += &format!(" {} |", read(tls, plain));
        }
        table.push('\n');
    }
    table
}

/// The table of the measured costs.
#[must_use]
pub fn costs_table() -> String {
    let mut table =
        String::from("| cost | without TLS | over TLS | option | measured |\n|---|---|---|---|---|\n");
    for cost in CPU_COSTS {
        let (plain, tls) = (micros(cost.plain), micros(cost.tls));
        table += &format!("| {} | {plain} | {tls} | `{}` | {} |\n", cost.what, cost.option, cost.measured);
    }
    for cost in MEMORY_COSTS {
        table += &format!(
            "| {} | {} | {} | `{}` | {} |\n",
            cost.what, cost.plain, cost.tls, cost.option, cost.measured
        );
    }
    table
}

fn micros(time: Duration) -> String {
    format!("{} µs", time.as_micros())
}
