//! The properties of librdkafka that may be set as they are.

/// What [`Config::client_properties`](super::Config::client_properties) may set: addresses, sockets, reconnecting, the cluster's
/// metadata and the choice of ciphers. The other properties have settings of their own here, or the promises about delivery and
/// bounds would not hold with other values.
pub const CLIENT_PROPERTIES: [&str; 20] = [
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.level",
    "connections.max.idle.ms",
    "metadata.max.age.ms",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "ssl.cipher.suites",
    "ssl.curves.list",
    "ssl.sigalgs.list",
    "topic.metadata.refresh.interval.ms",
];
