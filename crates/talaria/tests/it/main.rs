//! The integration tests of the gateway, as one binary: real sockets, real processes, a real Kafka.
//!
//! Each module tests one part from outside and names the contract's section that it holds. `support` has what they
//! share: a gateway in this process and one as a process of its own, devices, receivers, key servers, certificates.

#![expect(
    clippy::disallowed_methods,
    reason = "real processes know no paused clock; drills are sized by variables"
)]
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the tests' helpers fail the test"
)]
#![expect(clippy::print_stdout, reason = "the tables are part of what the tests show")]

mod access_check;
mod acks;
mod allocations;
mod api;
mod api_auth;
mod attack;
mod bench;
mod bodies;
mod budgets;
mod bursts;
mod command_line;
mod config_command;
mod consul;
mod consul_stand_in;
mod control;
mod control_table;
#[cfg(feature = "demo")]
mod demo;
mod device;
mod device_memory;
mod discovery;
mod dns_destinations;
mod exemplars;
mod filters;
mod first_mistakes;
mod http_hygiene;
mod identity;
mod jaeger;
mod jwt;
mod jwt_keys;
mod jwt_process;
mod labels;
mod live_configuration;
mod metrics_page;
mod observe;
mod process;
mod proxies;
mod rates;
mod real_kafka;
mod receivers;
mod refusals;
mod reload;
mod server;
mod stop;
mod storms;
mod support;
mod takeover;
mod tls;
mod tls_devices;
mod tls_gateway;
#[cfg(feature = "top")]
mod top;
mod traces;
mod vectors_device;
mod zookeeper;
