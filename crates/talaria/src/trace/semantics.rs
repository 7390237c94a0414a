//! The names of OpenTelemetry's semantic conventions that spans use, in the version of [`SCHEMA_URL`].
//!
//! Names that begin with `wrp.` are ours, where the conventions have none.

/// The version of the conventions. docs/contract/12-tracing.md names it, too.
pub const SCHEMA_URL: &str = "https://opentelemetry.io/schemas/1.37.0";

macro_rules! names {
    ($($name:ident = $text:literal),* $(,)?) => {
        $(pub(crate) const $name: &str = $text;)*
    };
}

names! {
    CLIENT_ADDRESS = "client.address",
    ERROR_TYPE = "error.type",
    HOST_NAME = "host.name",
    HTTP_METHOD = "http.request.method",
    HTTP_RESEND_COUNT = "http.request.resend_count",
    HTTP_ROUTE = "http.route",
    HTTP_STATUS = "http.response.status_code",
    MESSAGING_BODY_SIZE = "messaging.message.body.size",
    MESSAGING_CLIENT_ID = "messaging.client.id",
    MESSAGING_CONVERSATION_ID = "messaging.message.conversation_id",
    MESSAGING_DESTINATION = "messaging.destination.name",
    MESSAGING_OPERATION_NAME = "messaging.operation.name",
    MESSAGING_OPERATION_TYPE = "messaging.operation.type",
    MESSAGING_SYSTEM = "messaging.system",
    SERVER_ADDRESS = "server.address",
    SERVER_PORT = "server.port",
    SERVICE_NAME = "service.name",
    SERVICE_VERSION = "service.version",
    URL_FULL = "url.full",
    URL_PATH = "url.path",
    URL_SCHEME = "url.scheme",
    WRP_MESSAGE_TYPE = "wrp.message_type",
    WRP_QOS = "wrp.qos",
    WRP_TOPICS = "wrp.kafka.topics",
}
