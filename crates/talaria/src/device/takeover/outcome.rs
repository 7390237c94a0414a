//! What comes of a connection without a token under the id of a device that has one, as it is counted.

/// What came of a newcomer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::device) enum TakeoverOutcome {
    /// The device did not answer, or left: the newcomer may connect.
    TakenOver,
    /// The device answered.
    Answered,
    /// Another newcomer waits for the same device.
    Contested,
    /// Too many newcomers wait.
    TooMany,
    /// A device with a token connected between the check of the newcomer and its registration.
    Overtaken,
}

impl TakeoverOutcome {
    /// The label `outcome` of `device_takeovers_total`.
    pub(in crate::device) fn label(self) -> &'static str {
        match self {
            Self::TakenOver => "taken_over",
            Self::Answered => "answered",
            Self::Contested => "contested",
            Self::TooMany => "too_many",
            Self::Overtaken => "overtaken",
        }
    }
}
