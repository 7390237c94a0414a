//! What travels with a record and what comes back: the record itself, its context and its message's receipt.
//!
//! - [`record`]: the bytes that go to the client, borrowed while a message is published, owned while the record waits.
//! - [`context`]: what the publisher knows of a record. The client carries it and returns it with the result.
//! - [`annotation`]: headers of the records of one message.
//! - [`receipt`]: how the results of all records of a message become the one result of the message.
//!
//! Nothing here knows a client, a queue or a clock: those who call decide when a record is done. Start at [`context`].

mod annotation;
mod context;
mod event_type;
mod receipt;
mod record;

pub use annotation::Annotation;
pub(crate) use context::{DeliveryContext, MessageContext};
pub use receipt::Receipt;
pub(crate) use receipt::ReceiptShare;
pub(crate) use record::{Record, RecordRef};
