//! A queue in which many events wait: whose turn it is, and what gives way.
//!
//! Who had an event lately counts as one of those who share, also if none of them waits now: otherwise those who flood the
//! queue would only be compared with each other.

use std::collections::VecDeque;

use super::device::{DeviceEvents, Queued, Turn};
use super::order::Order;
use super::partner::{ByKey, FarMore, Lowest, Partner};
use super::rank::{Fairness, Rank, Ranked};
use super::shares::{Arrivals, Crowd, Flood, Holding, Sizes};
use crate::device::Owner;

/// An epoch lasts at most so many arrivals.
const LONGEST_EPOCH: usize = 4096;

/// An epoch lasts at least so many arrivals.
const SHORTEST_EPOCH: usize = 64;

/// And so many for each device, so that those that send little are seen beside those that flood the queue.
const ARRIVALS_PER_DEVICE: usize = 8;

/// The waiting events by partner and device.
pub(super) struct Contended<T> {
    fairness: Fairness,
    partners: ByKey<Partner<T>>,
    /// The partners with events that may leave; the next one is first. Those whose events have given way are skipped.
    turns: VecDeque<u32>,
    sequence: u64,
    count: usize,
    /// What the events take of the room.
    size: usize,
    /// How many events there are of devices that are not held back.
    can_leave: usize,
    /// How many devices have events, or had some in this epoch or the one before.
    devices: usize,
    /// The sum of the weights of the partners of these devices.
    weights: usize,
    arrivals: Arrivals,
    flood: Flood,
    /// How many arrivals are left of this epoch.
    epoch: usize,
}

/// An event that is to be queued.
struct Newcomer {
    rank: Rank,
    /// What it takes of the room.
    size: usize,
}

impl<T: Ranked> Contended<T> {
    pub(super) fn new(fairness: Fairness) -> Self {
        Self {
            fairness,
            partners: ByKey::default(),
            turns: VecDeque::new(),
            sequence: 0,
            count: 0,
            size: 0,
            can_leave: 0,
            devices: 0,
            weights: 0,
            arrivals: Arrivals::default(),
            flood: Flood::NONE,
            epoch: SHORTEST_EPOCH,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.count
    }

    pub(super) fn can_start(&self) -> bool {
        self.can_leave > 0
    }

    pub(super) fn push(&mut self, event: T) {
        let (rank, sizes) = (event.rank(), Sizes::of(&event, self.fairness.slot));
        let owner = rank.owner;
        self.see(owner);
        self.arrived(owner, sizes.room);
        self.sequence += 1;
        self.count += 1;
        self.size += sizes.room;
        let Some(partner) = self.partners.get_mut(&owner.partner) else { return };
        let had_turns = !partner.turns.is_empty();
        partner.push(owner.device, rank.level, self.sequence, Queued { event, sizes });
        if partner.turn_of(owner.device) != Turn::HeldBack {
            self.can_leave += 1;
        }
        if !had_turns && !partner.turns.is_empty() {
            partner.begin_turn();
            self.turns.push_back(owner.partner);
        }
    }

    pub(super) fn pop(&mut self) -> Option<T> {
        let (key, cost) = self.next()?;
        let partner = self.partners.get_mut(&key)?;
        let then = match self.fairness.order {
            Order::None => Turn::Waits,
            Order::Device => Turn::HeldBack,
        };
        let (taken, held_back) = partner.take_next(cost, then)?;
        if partner.turns.is_empty() {
            partner.end_turns();
            self.turns.pop_front();
        }
        self.can_leave -= held_back + 1;
        Some(self.count_out(taken))
    }

    /// The event of this owner that was taken last has ended.
    pub(super) fn ended(&mut self, owner: Owner) {
        let Some(partner) = self.partners.get_mut(&owner.partner) else { return };
        let had_turns = !partner.turns.is_empty();
        self.can_leave += partner.release(owner.device);
        if !had_turns && !partner.turns.is_empty() {
            partner.begin_turn();
            self.turns.push_back(owner.partner);
        }
    }

    /// Takes out the event that gives way to this one; none if that one has to.
    pub(super) fn give_way(&mut self, to: &T) -> Option<T> {
        let (rank, sizes) = (to.rank(), Sizes::of(to, self.fairness.slot));
        self.see(rank.owner);
        let given = self.find(Some(Newcomer { rank, size: sizes.room }));
        match given.and_then(|(partner, device)| self.take_lowest(partner, device)) {
            Some(event) => Some(event),
            None => {
                self.arrived(rank.owner, sizes.room);
                None
            }
        }
    }

    /// Takes out the event that gives way to an event of another queue.
    pub(super) fn shed(&mut self) -> Option<T> {
        let (partner, device) = self.find(None)?;
        self.take_lowest(partner, device)
    }

    /// Whether the device holds at least an equal part of what is free of the room, and at least half of an equal part of what
    /// is held: who holds next to nothing does not wait for those who hold it all.
    pub(super) fn holds_much(&self, owner: Owner, free: usize) -> bool {
        let partner = self.partners.get(&owner.partner);
        let held = partner.map(|partner| partner.holding_of(owner.device)).unwrap_or_default();
        let of_all = held.size.saturating_mul(self.devices);
        of_all >= free && of_all.saturating_mul(2) >= self.size
    }

    /// Takes all events, oldest first.
    pub(super) fn drain(&mut self) -> Vec<T> {
        let mut events: Vec<(u64, T)> = Vec::with_capacity(self.count);
        for partner in self.partners.values_mut() {
            events.extend(partner.devices.drain().flat_map(|(_, device)| device.into_events()));
        }
        events.sort_unstable_by_key(|(sequence, _)| *sequence);
        *self = Self::new(self.fairness.clone());
        events.into_iter().map(|(_, event)| event).collect()
    }

    /// The partner whose turn it is, and what its next event costs.
    fn next(&mut self) -> Option<(u32, usize)> {
        loop {
            let key = *self.turns.front()?;
            let partner = self.partners.get_mut(&key)?;
            let Some(cost) = partner.next_cost() else {
                partner.end_turns();
                self.turns.pop_front();
                continue;
            };
            if self.turns.len() == 1 || partner.pay(cost) {
                return Some((key, cost));
            }
            partner.begin_turn();
            self.turns.rotate_left(1);
        }
    }

    /// The partner and the device whose event gives way; none if the newcomer has to.
    fn find(&mut self, newcomer: Option<Newcomer>) -> Option<(u32, u32)> {
        let scope = self.partner_far_over(newcomer.as_ref());
        let newcomer = newcomer.filter(|new| scope.is_none_or(|partner| partner == new.rank.owner.partner));
        let crowd = match scope.and_then(|partner| self.partners.get(&partner)) {
            Some(partner) => partner.crowd(),
            None => self.crowd(),
        };
        let crowd = crowd.with(newcomer.as_ref().map(|new| new.size));
        let own = newcomer.as_ref().filter(|new| self.is_far_more(new, &crowd));
        let level = newcomer.as_ref().map(|new| new.rank.level as usize);
        match (self.far_more(scope, own, &crowd), level) {
            // Among those who hold far more the level decides.
            (Some((partner, other)), Some(level)) if own.is_some() => {
                (other.level <= level).then_some((partner, other.device))
            }
            (Some((partner, other)), _) => Some((partner, other.device)),
            // A single event that takes so much displaces what is less important only.
            (None, Some(level)) if own.is_some() => {
                let (partner, lowest) = self.lowest(scope)?;
                (lowest.level < level).then_some((partner, lowest.device))
            }
            (None, level) => {
                let (partner, lowest) = self.lowest(scope)?;
                level.is_none_or(|level| lowest.level <= level).then_some((partner, lowest.device))
            }
        }
    }

    /// The partner that holds far more than the share of its weight, if one does. The newcomer counts.
    fn partner_far_over(&self, newcomer: Option<&Newcomer>) -> Option<u32> {
        if self.partners.len() < 2 {
            return None;
        }
        let new_of =
            |partner| newcomer.filter(|new| new.rank.owner.partner == partner).map_or(0, |new| new.size);
        let all = self.holding().with(newcomer.map_or(0, |new| new.size));
        self.partners
            .iter()
            .filter(|(_, partner)| partner.count > 0)
            .map(|(key, partner)| (*key, partner.holding().with(new_of(*key)), partner.weight))
            .filter(|(_, held, weight)| held.is_far_over_weight(*weight, &all, self.weights))
            .max_by(|one, other| (one.1.size * other.2).cmp(&(other.1.size * one.2)))
            .map(|(key, ..)| key)
    }

    /// Whether the newcomer's device holds far more than its share of the crowd, which has the newcomer in it.
    fn is_far_more(&self, newcomer: &Newcomer, crowd: &Crowd) -> bool {
        let Owner { partner, device } = newcomer.rank.owner;
        let held = self.partners.get(&partner).map(|partner| partner.holding_of(device)).unwrap_or_default();
        crowd.is_far_more(&held.with(newcomer.size))
    }

    /// Of those who hold far more than their share of the crowd, the one that gives way, with its partner. `own` is a newcomer of
    /// such a device.
    fn far_more(
        &mut self,
        scope: Option<u32>,
        own: Option<&Newcomer>,
        crowd: &Crowd,
    ) -> Option<(u32, FarMore)> {
        let far_more =
            |key: u32, partner: &Partner<T>| partner.far_more(crowd).map(|far_more| (key, far_more));
        let most = match scope {
            Some(key) => self.partners.get(&key).and_then(|partner| far_more(key, partner)),
            None => {
                let all = self.partners.iter().filter_map(|(key, partner)| far_more(*key, partner));
                all.max_by_key(|(key, far_more)| (far_more.gives_way(), *key))
            }
        };
        let own = own.and_then(|new| {
            let Owner { partner, device } = new.rank.owner;
            Some((partner, self.partners.get(&partner)?.of(device, new.size)?))
        });
        let most = most.into_iter().chain(own).max_by_key(|(_, far_more)| far_more.gives_way())?;
        // Only those with most were looked at. Another one may have an event of a lower level.
        let (key, lowest) = self.lowest(scope)?;
        let other = self.partners.get(&key)?.far_more_of(lowest.device, crowd).map(|other| (key, other));
        Some(other.filter(|(_, other)| other.level < most.1.level).unwrap_or(most))
    }

    /// The oldest event of the lowest level, with its partner.
    fn lowest(&mut self, scope: Option<u32>) -> Option<(u32, Lowest)> {
        let lowest = |(key, partner): (u32, &mut Partner<T>)| partner.lowest().map(|lowest| (key, lowest));
        match scope {
            Some(key) => lowest((key, self.partners.get_mut(&key)?)),
            None => self
                .partners
                .iter_mut()
                .filter_map(|(key, partner)| lowest((*key, partner)))
                .min_by_key(|(_, lowest)| (lowest.level, lowest.sequence)),
        }
    }

    fn take_lowest(&mut self, partner: u32, device: u32) -> Option<T> {
        let partner = self.partners.get_mut(&partner)?;
        let taken = partner.take_lowest(device)?;
        if partner.turn_of(device) != Turn::HeldBack {
            self.can_leave -= 1;
        }
        Some(self.count_out(taken))
    }

    fn count_out(&mut self, taken: Queued<T>) -> T {
        self.count -= 1;
        self.size -= taken.sizes.room;
        taken.event
    }

    fn crowd(&self) -> Crowd {
        Crowd { devices: self.devices, all: self.holding(), flood: self.flood }
    }

    fn holding(&self) -> Holding {
        Holding {
            events: self.count,
            size: self.size,
            arrived: self.arrivals.lately(),
            steady: self.arrivals.steady(),
        }
    }

    /// From now on the owner counts as one of those who share.
    fn see(&mut self, owner: Owner) {
        let Self { partners, devices, weights, fairness, .. } = self;
        let partner = partners.entry(owner.partner).or_insert_with(|| {
            let weight = fairness.weights.of(owner.partner).get();
            *weights += weight;
            Partner::new(weight)
        });
        partner.devices.entry(owner.device).or_insert_with(|| {
            *devices += 1;
            DeviceEvents::new()
        });
    }

    /// An event has arrived, whatever becomes of it. At the end of an epoch, those are forgotten that had none in it.
    fn arrived(&mut self, owner: Owner, size: usize) {
        self.arrivals.add(size);
        if let Some(partner) = self.partners.get_mut(&owner.partner) {
            partner.arrived(owner.device, size);
        }
        self.epoch -= 1;
        if self.epoch > 0 {
            return;
        }
        let events = self.count.max(ARRIVALS_PER_DEVICE * self.devices);
        self.epoch = events.clamp(SHORTEST_EPOCH, LONGEST_EPOCH);
        self.arrivals.begin_epoch();
        let (slot, mut sent) = (self.fairness.slot, Vec::with_capacity(self.devices));
        self.partners.retain(|key, partner| {
            partner.begin_epoch(slot, &mut sent);
            // The newcomer may be about to be queued.
            *key == owner.partner || !partner.devices.is_empty()
        });
        self.flood = Flood::of(&mut sent, slot);
        self.devices = self.partners.values().map(|partner| partner.devices.len()).sum();
        self.weights = self.partners.values().map(|partner| partner.weight).sum();
    }
}

#[cfg(test)]
impl<T> Contended<T> {
    /// How many devices are known.
    pub(super) fn remembered(&self) -> usize {
        self.partners.values().map(|partner| partner.devices.len()).sum()
    }

    /// How many events the lists by level have, with those that have left.
    pub(super) fn listed(&self) -> usize {
        self.partners.values().map(Partner::listed).sum()
    }
}
