//! What the bytes of a stranger mean to the gateway: the half of Talaria that does no I/O.
//!
//! Everything here is a function or a state machine over bytes and values. Sockets, tasks and clocks belong to the crate
//! `talaria`, which passes in what it read and, where it matters, what time it is. So all of this can be tested and
//! fuzzed with byte slices alone.
//!
//! Start reading here:
//!
//! - a device that connects: [`connect`] (its name, convey and claims), then [`ws::handshake`] (the upgrade);
//! - a connected device: [`session`], which is built on the codec in [`ws`];
//! - a message of a device: [`inbound`];
//! - a token: [`token`], and the keys that tokens are signed with: [`keys`];
//! - a destination that a device or the configuration names: [`url`];
//! - a certificate that is trusted by itself: [`x509`];
//! - a connection through a proxy: [`proxy_protocol`], [`forwarded`], [`network`];
//! - which gateway of a fleet a device belongs to: [`discovery`];
//! - what an event receiver answers: [`receiver_answer`]; how long it asks to wait: [`retry_after`];
//! - the trace that a request or a message belongs to: [`trace_context`];
//! - how often something may come: [`rate`], and of how many strangers that is remembered: [`recent`]; who is refused for a
//!   time: [`refusal`];
//! - a request of a service or an operator: [`request_checks`], [`host`], [`smuggling`], [`web_page`], [`control`].
//!
//! What has to be read, compared or printed exactly as the Go gateway does it is in [`go`], each rule once. The modules
//! use each other in one direction, from [`go`] and [`strict_json`] upwards; ARCHITECTURE.md has the list.
//!
//! Deliberately absent: tokio, hyper, TLS, logs, metrics, and any look at a clock. The format of messages is the crate
//! [`wrp`]'s.

pub mod answer;
pub mod attributes;
pub mod claims;
pub mod connect;
pub mod control;
pub mod convey;
pub mod der;
pub mod discovery;
pub mod forwarded;
pub mod go;
pub mod host;
pub mod inbound;
pub mod keys;
pub mod network;
pub mod proxy_protocol;
pub mod rate;
pub mod receiver_answer;
pub mod recent;
pub mod refusal;
pub mod request_checks;
pub mod retry_after;
pub mod session;
pub mod smuggling;
pub mod strict_json;
pub mod token;
pub mod trace_context;
pub mod url;
pub mod web_page;
pub mod ws;
pub mod x509;
