use std::fmt;

/// What kind of name a device or a locator has.
///
/// ```
/// use wrp::Scheme;
///
/// assert_eq!(Scheme::parse("SERIAL"), Some(Scheme::Serial));
/// assert_eq!(Scheme::parse("https"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scheme {
    /// The address of a device's network interface.
    Mac,
    /// A UUID, though any text will do.
    Uuid,
    /// A host, or anything with a URL.
    Dns,
    /// A serial number.
    Serial,
    /// A kind of event: only in a locator.
    Event,
    /// `self`, the device that the message is from: only in a locator.
    Own,
}

impl Scheme {
    const ALL: [Scheme; 6] =
        [Scheme::Mac, Scheme::Uuid, Scheme::Dns, Scheme::Serial, Scheme::Event, Scheme::Own];

    /// The scheme of that name, without regard to case.
    pub fn parse(name: &str) -> Option<Scheme> {
        Self::ALL.into_iter().find(|scheme| scheme.as_str().eq_ignore_ascii_case(name))
    }

    /// The scheme as it is written, in lower case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Scheme::Mac => "mac",
            Scheme::Uuid => "uuid",
            Scheme::Dns => "dns",
            Scheme::Serial => "serial",
            Scheme::Event => "event",
            Scheme::Own => "self",
        }
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
