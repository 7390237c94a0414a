//! A queue of events in which devices and partners get fair shares (contract §15.2).
//!
//! As long as few events wait, it is a FIFO and does not know their devices. From [`CONTENDED`] events on it is contended, until
//! [`UNCONTENDED`] are left:
//!
//! - Turns: partners take turns by bytes, in proportion to their weights, and inside a partner its devices (deficit round
//!   robin, Shreedhar and Varghese 1996). The events of one device stay in their order.
//! - What gives way if there is no room: the oldest event of the lowest level, but first of those who hold far more than the fair
//!   share, if there are such partners or devices. A newcomer is compared in the same way.
//!
//! Shares come before levels, so that devices that flood the gateway with events of a high level displace no events of others;
//! "far more" leaves room for chance and for bursts, so that among devices that send about the same the level decides
//! (`shares.rs`).
//!
//! Deliberately absent: the bound of the queue, which its owner knows, clocks and locks. Start reading at
//! [`FairQueue::give_way`], then `contended.rs`.

mod contended;
mod device;
mod order;
mod partner;
mod rank;
mod shares;
mod weights;

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;

use self::contended::Contended;
use crate::device::Owner;
use std::collections::VecDeque;

pub use self::order::Order;
pub(super) use self::rank::{Fairness, Rank, Ranked};
pub use self::weights::{PartnerWeights, Weight, WeightError};

/// From so many events on, devices and partners take turns.
const CONTENDED: usize = 64;

/// With so few events left, they do not.
const UNCONTENDED: usize = 8;

/// The waiting events.
pub(super) struct FairQueue<T> {
    fairness: Fairness,
    /// All events, oldest first, as long as the queue is not contended; otherwise empty.
    fifo: VecDeque<T>,
    contended: Option<Box<Contended<T>>>,
}

impl<T: Ranked> FairQueue<T> {
    pub(super) fn new(fairness: Fairness) -> Self {
        // A device's next event can only be held back where the devices are known.
        let contended = match fairness.order {
            Order::None => None,
            Order::Device => Some(Box::new(Contended::new(fairness.clone()))),
        };
        Self { fairness, fifo: VecDeque::new(), contended }
    }

    /// How many events wait.
    pub(super) fn len(&self) -> usize {
        self.contended.as_ref().map_or(self.fifo.len(), |contended| contended.len())
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether [`pop_front`](Self::pop_front) has an event. With [`Order::Device`] there may be events, but none that may
    /// leave.
    pub(super) fn can_start(&self) -> bool {
        self.contended.as_ref().map_or(!self.fifo.is_empty(), |contended| contended.can_start())
    }

    pub(super) fn push_back(&mut self, event: T) {
        if let Some(contended) = &mut self.contended {
            return contended.push(event);
        }
        self.fifo.push_back(event);
        if self.fifo.len() >= CONTENDED {
            self.contended();
        }
    }

    /// Takes the next event: the oldest, or that of the device whose turn it is.
    pub(super) fn pop_front(&mut self) -> Option<T> {
        let Some(contended) = &mut self.contended else { return self.fifo.pop_front() };
        let event = contended.pop()?;
        if self.fairness.order == Order::None && contended.len() <= UNCONTENDED {
            self.fifo = contended.drain().into();
            self.contended = None;
        }
        Some(event)
    }

    /// The event of this owner that was taken last has ended. Needed with [`Order::Device`] only.
    pub(super) fn ended(&mut self, owner: Owner) {
        if let (Order::Device, Some(contended)) = (self.fairness.order, &mut self.contended) {
            contended.ended(owner);
        }
    }

    /// Takes out the event that gives way to this one; none if that one has to.
    pub(super) fn give_way(&mut self, to: &T) -> Option<T> {
        self.contended().give_way(to)
    }

    /// Takes out the event that gives way to an event of another queue, which shares the room.
    pub(super) fn shed(&mut self) -> Option<T> {
        self.contended().shed()
    }

    /// Whether the device holds at least an equal part of what is free of the room, so that with all that send it could fill it, and
    /// not much less than an equal part of what is held. Where that is not known, it does.
    pub(super) fn holds_much(&self, owner: Owner, free: usize) -> bool {
        self.contended.as_ref().is_none_or(|contended| contended.holds_much(owner, free))
    }

    /// Takes all events, oldest first, also those that may not leave yet.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> {
        let contended = self.contended.as_mut().map(|contended| contended.drain()).unwrap_or_default();
        std::mem::take(&mut self.fifo).into_iter().chain(contended)
    }

    fn contended(&mut self) -> &mut Contended<T> {
        let (fairness, fifo) = (&self.fairness, &mut self.fifo);
        self.contended.get_or_insert_with(|| {
            let mut contended = Contended::new(fairness.clone());
            std::mem::take(fifo).into_iter().for_each(|event| contended.push(event));
            Box::new(contended)
        })
    }
}
