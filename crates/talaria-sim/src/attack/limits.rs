//! The limits of a gateway that is started for the drill, which attackers reach.

/// The longest message that a gateway started for the drill accepts, in bytes.
pub(super) const LONGEST_MESSAGE: usize = 4 * 1024 * 1024;

/// The unfinished messages of all devices that such a gateway keeps, in bytes.
pub(super) const UNFINISHED_MESSAGES: usize = 16 * 1024 * 1024;
