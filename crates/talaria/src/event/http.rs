//! The HTTP sink: posts events to the receivers that the configuration or a `dns:` destination names (contract §5.1).

pub mod endpoints;
pub mod target;
