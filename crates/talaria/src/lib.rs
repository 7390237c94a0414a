//! The XMiDT device gateway: one WebSocket per device, its events to HTTP and Kafka, requests to it by REST.

pub mod api;
pub mod auth;
pub mod cli;
pub mod config;
pub mod control;
#[cfg(feature = "demo")]
pub mod demo;
pub mod descriptors;
pub mod device;
pub mod event;
pub mod gateway;
pub mod process;
pub mod reload;
pub mod server;
pub mod telemetry;
