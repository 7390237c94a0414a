//! The types of messages, their numbers and their names (contract §1.3).

use alloc::string::ToString as _;
use core::fmt;

/// The `msg_type` of a message (contract §1.3).
///
/// Any number is valid, also one that the protocol does not define: the gateway routes such messages like others.
///
/// ```
/// use wrp::MessageType;
///
/// assert_eq!(MessageType::SIMPLE_EVENT.friendly_name(), "SimpleEvent");
/// assert!(MessageType(6).requires_transaction());
/// assert_eq!(MessageType::from_name("event"), Some(MessageType::SIMPLE_EVENT));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct MessageType(pub i64);

impl MessageType {
    /// Authorization status, from the cloud to the device.
    pub const AUTHORIZATION: Self = Self(2);
    /// A request, or the response to it.
    pub const SIMPLE_REQUEST_RESPONSE: Self = Self(3);
    /// An event, which has no response.
    pub const SIMPLE_EVENT: Self = Self(4);
    /// A request to create an object, or the response to it.
    pub const CREATE: Self = Self(5);
    /// A request to read an object, or the response to it.
    pub const RETRIEVE: Self = Self(6);
    /// A request to change an object, or the response to it.
    pub const UPDATE: Self = Self(7);
    /// A request to delete an object, or the response to it.
    pub const DELETE: Self = Self(8);
    /// A service on the device registers with the device's agent.
    pub const SERVICE_REGISTRATION: Self = Self(9);
    /// A service on the device reports to the agent that it is running.
    pub const SERVICE_ALIVE: Self = Self(10);
    /// The sender does not know the type.
    pub const UNKNOWN: Self = Self(11);

    /// The name that WRP v3 prints (`SimpleEventMessageType`); `None` for a number that the protocol does not define.
    #[must_use]
    pub const fn name_v3(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "Invalid0MessageType",
            1 => "Invalid1MessageType",
            2 => "AuthorizationMessageType",
            3 => "SimpleRequestResponseMessageType",
            4 => "SimpleEventMessageType",
            5 => "CreateMessageType",
            6 => "RetrieveMessageType",
            7 => "UpdateMessageType",
            8 => "DeleteMessageType",
            9 => "ServiceRegistrationMessageType",
            10 => "ServiceAliveMessageType",
            11 => "UnknownMessageType",
            12 => "LastMessageType",
            _ => return None,
        })
    }

    /// The short name (`SimpleEvent`); empty if the type has none.
    #[must_use]
    pub const fn friendly_name(self) -> &'static str {
        match self.0 {
            3 => "SimpleRequestResponse",
            4 => "SimpleEvent",
            5 => "Create",
            6 => "Retrieve",
            7 => "Update",
            8 => "Delete",
            9 => "ServiceRegistration",
            10 => "ServiceAlive",
            11 => "Unknown",
            _ => "",
        }
    }

    /// Whether messages of this type are requests and responses, which share a `transaction_uuid`.
    #[must_use]
    pub const fn requires_transaction(self) -> bool {
        matches!(self.0, 3 | 5..=8)
    }

    /// The type that a text names: `event`, or the number, short name or v3 name of one of the types 3 to 11.
    pub fn from_name(name: &str) -> Option<Self> {
        if name == "event" {
            return Some(Self::SIMPLE_EVENT);
        }
        (3..=11).map(MessageType).find(|known| {
            name == known.friendly_name() || Some(name) == known.name_v3() || name == known.0.to_string()
        })
    }
}

impl From<i64> for MessageType {
    fn from(number: i64) -> Self {
        Self(number)
    }
}

impl From<MessageType> for i64 {
    fn from(msg_type: MessageType) -> Self {
        msg_type.0
    }
}

/// Writes the v3 name, or `MessageType(13)` for a number that has none.
impl fmt::Display for MessageType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name_v3() {
            Some(name) => f.write_str(name),
            None => write!(f, "MessageType({})", self.0),
        }
    }
}
