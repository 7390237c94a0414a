//! wrpkafka
