//! `device.outbound.transport.pipeline`: how many events go to a receiver in one packet.

/// How many events are sent to a receiver together, over one connection by HTTP/1.1 (contract §5.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PipelineDepth(usize);

impl PipelineDepth {
    /// The most that can be configured.
    pub const MAX: u64 = 64;

    /// What is expected, for the message of a fault.
    pub const EXPECTED: &str = "a whole number from 1 to 64";

    /// None if it is not from 1 to [`MAX`](Self::MAX).
    pub fn new(depth: u64) -> Option<Self> {
        let depth = (1..=Self::MAX).contains(&depth).then_some(depth)?;
        usize::try_from(depth).ok().map(Self)
    }

    pub(in crate::event) const fn get(self) -> usize {
        self.0
    }
}

impl Default for PipelineDepth {
    /// One event at a time.
    fn default() -> Self {
        Self(1)
    }
}
