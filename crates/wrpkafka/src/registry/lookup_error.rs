//! The error of a request to the registry.

/// Why the registry did not answer with an id.
#[cfg_attr(not(feature = "registry"), expect(dead_code, reason = "nothing is asked"))]
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LookupError {
    /// The registry rejects the schema, and will do so until the operator corrects the cause.
    #[error("{status}: {reason}")]
    Rejected { status: u16, reason: String },
    /// The registry could not be reached, or reported an error of its own.
    #[error("{0}")]
    Unreachable(String),
}
