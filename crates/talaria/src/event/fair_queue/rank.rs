//! What a queue knows of an event, and of the shares of partners.

use std::sync::Arc;

use wrp::QosLevel;

use super::order::Order;
use super::weights::PartnerWeights;
use crate::device::Owner;

/// An event that can wait in a [`FairQueue`](super::FairQueue).
pub(in crate::event) trait Ranked {
    fn rank(&self) -> Rank;
    /// The bytes of its body.
    fn bytes(&self) -> usize;
}

/// Whose an event is, and how important it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) struct Rank {
    pub(in crate::event) level: QosLevel,
    pub(in crate::event) owner: Owner,
}

/// What a queue has to know beside its events.
#[derive(Clone, Debug)]
pub(in crate::event) struct Fairness {
    pub(in crate::event) weights: Arc<PartnerWeights>,
    pub(in crate::event) order: Order,
    /// What an event takes of the room in addition to its bytes: the room in bytes, divided by the room in events.
    pub(in crate::event) slot: usize,
}
