//! The event of a message that a matching route rejected.

use std::fmt;

/// A message whose event type matches a route, but which the route rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filtered<'a> {
    /// The authority of the message's destination.
    pub event_type: &'a str,
    /// The route's destination as configured: its topic, its topics with commas between them, or its template.
    pub topic: &'a str,
    /// Which setting rejected the message.
    pub by: FilteredBy,
}

/// The setting of a route that rejected a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FilteredBy {
    /// No rule of `filter.allow` matches.
    Allow,
    /// A rule of `filter.deny` matches.
    Deny,
    /// The topic that the template gives is not among the `allowedTopics`.
    AllowedTopics,
}

impl FilteredBy {
    /// Every setting, in the order of the enum.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::AllowedTopics];

    /// The setting's name, which is also the value of the metric label `rule`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::AllowedTopics => "allowedTopics",
        }
    }
}

impl fmt::Display for FilteredBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
