//! What can be published: borrowed messages, owned ones, and references to either.

use std::borrow::Cow;

use wrp::{Message, MessageRef};

/// A WRP message, owned ([`Message`]) or borrowed ([`MessageRef`]).
pub trait AsMessage {
    /// Borrows the message.
    fn as_message(&self) -> Cow<'_, MessageRef<'_>>;
}

impl AsMessage for MessageRef<'_> {
    fn as_message(&self) -> Cow<'_, MessageRef<'_>> {
        Cow::Borrowed(self)
    }
}

impl AsMessage for Message {
    fn as_message(&self) -> Cow<'_, MessageRef<'_>> {
        Cow::Owned(self.as_ref())
    }
}

impl<M: AsMessage + ?Sized> AsMessage for &M {
    fn as_message(&self) -> Cow<'_, MessageRef<'_>> {
        (**self).as_message()
    }
}
