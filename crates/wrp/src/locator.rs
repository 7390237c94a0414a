use std::borrow::Cow;

use crate::{DeviceId, Scheme};

/// What a message's `source` and `dest` hold: the name of a device, a service, a host or a kind of event (contract §1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Locator<'a> {
    /// What kind of name it is.
    pub scheme: Scheme,
    /// The name.
    pub authority: Cow<'a, str>,
    /// The service on the device, where there is one.
    pub service: &'a str,
    /// What follows, beginning with `/`.
    pub ignored: Cow<'a, str>,
    id: Option<DeviceId>,
}

/// What is wrong with a text that ought to be a locator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LocatorError {
    /// v3: it does not look like one.
    #[error("invalid locator: `{0}` does not match expected locator pattern")]
    Pattern(String),
}

impl<'a> Locator<'a> {
    /// Parses a locator as the gateway does for routing.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse_v3(text: &'a str) -> Result<Locator<'a>, LocatorError> {
        let _ = text;
        todo!()
    }

    /// Parses a locator as the Kafka publisher does.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse_v5(text: &'a str) -> Result<Locator<'a>, LocatorError> {
        let _ = text;
        todo!()
    }

    /// The id of the device that it names; none for `dns` and `event`.
    pub fn device_id(&self) -> Option<&DeviceId> {
        self.id.as_ref()
    }

    /// The authority of an `event:` locator, else empty.
    pub fn event_type(&self) -> &str {
        match self.scheme {
            Scheme::Event => &self.authority,
            _ => "",
        }
    }
}

/// The event type of a message with this dest: the authority of an `event:` locator, else empty. Does not allocate.
pub fn event_type(dest: &str) -> &str {
    let _ = dest;
    todo!()
}
