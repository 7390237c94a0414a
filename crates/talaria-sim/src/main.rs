//! `talaria-sim`: simulated devices, an event receiver, a Kafka cluster in memory and a benchmark.

fn main() {}
