//! Which ids and addresses are refused for a time, because they connect too often or send too much for long.
//!
//! [`Refusals`] counts the connections of each id and of each address, in tables of bounded size. One that connects more
//! often than its rate is refused from then on for a fixed time, and so is the id of a device that exceeds its rate of
//! messages for long. An id with a token and the same id without one are counted apart, so that a stranger who uses a
//! device's id cannot shut out the device.
//!
//! Deliberately absent: the clock (each call gets the time since any fixed moment), the responses and the log. Start
//! reading at [`Refusals::check_id`].

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use wrp::DeviceId;

use crate::network::{Customer, Network};
use crate::rate::{Bucket, Rate};
use crate::recent::RecentMap;

/// How many ids and addresses are counted in each half of the table.
const COUNTED: usize = 16 * 1024;
/// How many ids and addresses are refused at the same time. Beyond it, the oldest refusal ends early.
const REFUSED: usize = 4096;

/// When something is refused, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalRules {
    /// How often one id may connect; any number of times if none.
    pub connects_per_id: Option<Rate>,
    /// How often clients of one address may connect; any number of times if none.
    pub connects_per_address: Option<Rate>,
    /// For how long a device may exceed its rate before it is refused; for ever if none.
    pub flood_time: Option<Duration>,
    /// How many ids of one address may be refused for flooding before the address is; any number if none.
    pub floods_per_address: Option<usize>,
    /// How long a refusal lasts.
    pub time: Duration,
    /// Ids that are neither counted nor refused.
    pub allowed_ids: HashSet<DeviceId>,
    /// Addresses whose connections are neither counted nor refused.
    pub allowed_addresses: Vec<Network>,
}

/// What is refused.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Subject {
    /// The devices of this id with a token, or those without one.
    Id {
        /// The id.
        id: DeviceId,
        /// Whether this is about devices with a token.
        has_token: bool,
    },
    /// The clients of this address.
    Address(Customer),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// It connects too often.
    Flapping,
    /// It exceeds its rate of messages for too long.
    Flooding,
}

/// A connection is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("refused for {} s", wait.as_secs_f64())]
pub struct RefusedError {
    /// How long the refusal lasts from now on.
    pub wait: Duration,
    /// The refusal, if it begins with this connection.
    pub begins: Option<RefusalBegin>,
}

/// A refusal that begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalBegin {
    /// What is refused.
    pub subject: Subject,
    /// Why.
    pub reason: RefusalReason,
}

/// A refusal that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusalEnd {
    /// What was refused.
    pub subject: Subject,
    /// How many connections were refused.
    pub connects: u64,
}

/// The connections of ids and addresses, and what is refused now.
#[derive(Debug)]
pub struct Refusals {
    rules: RefusalRules,
    counted: RecentMap<Subject, Bucket>,
    refused: HashMap<Subject, Record>,
    /// What is refused, in the order in which it ends: each refusal lasts equally long.
    order: VecDeque<Subject>,
    /// Refusals that ended while another one began, until they are taken.
    displaced: Vec<RefusalEnd>,
}

#[derive(Debug)]
struct Record {
    until: Duration,
    connects: u64,
    /// The address of a device that is refused for flooding.
    flooded_from: Option<Customer>,
}

impl RefusalRules {
    /// Nothing is ever refused; the time is the default of five minutes.
    #[must_use]
    pub fn none() -> Self {
        Self {
            connects_per_id: None,
            connects_per_address: None,
            flood_time: None,
            floods_per_address: None,
            time: Duration::from_secs(5 * 60),
            allowed_ids: HashSet::new(),
            allowed_addresses: Vec::new(),
        }
    }

    /// Whether anything can ever be refused.
    #[must_use]
    pub fn is_active(&self) -> bool {
        self.connects_per_id.is_some() || self.connects_per_address.is_some() || self.flood_time.is_some()
    }

    fn allow(&self, address: Option<IpAddr>, id: Option<&DeviceId>) -> bool {
        let is_allowed = |address| self.allowed_addresses.iter().any(|network| network.contains(address));
        address.is_some_and(is_allowed) || id.is_some_and(|id| self.allowed_ids.contains(id))
    }
}

impl Subject {
    /// The label `subject` of the metrics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Id { .. } => "id",
            Self::Address(_) => "address",
        }
    }
}

impl RefusalReason {
    /// The label `reason` of the metrics.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Flapping => "flapping",
            Self::Flooding => "flooding",
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id { id, has_token: true } => write!(f, "{id} (with a token)"),
            Self::Id { id, has_token: false } => write!(f, "{id} (without a token)"),
            Self::Address(address) => address.fmt(f),
        }
    }
}

impl Refusals {
    /// Nothing is refused yet.
    #[must_use]
    pub fn new(rules: RefusalRules) -> Self {
        Self {
            rules,
            counted: RecentMap::new(COUNTED),
            refused: HashMap::new(),
            order: VecDeque::new(),
            displaced: Vec::new(),
        }
    }

    /// Other rules, from now on. What has been counted still counts, and what is refused stays so, but for no longer than by the
    /// new rules; if these refuse nothing, all refusals end.
    pub fn set_rules(&mut self, rules: RefusalRules, now: Duration) {
        let longest = if rules.is_active() { rules.time } else { Duration::ZERO };
        let latest = now.saturating_add(longest);
        self.refused.values_mut().for_each(|record| record.until = record.until.min(latest));
        self.rules = rules;
    }

    /// A client of this address asks to connect, under an id that is not known yet.
    ///
    /// # Errors
    /// [`RefusedError`], if its address is.
    pub fn check_address(&mut self, address: IpAddr, now: Duration) -> Result<(), RefusedError> {
        if self.rules.allow(Some(address), None) {
            return Ok(());
        }
        self.check(Subject::Address(address.into()), self.rules.connects_per_address, now)
    }

    /// A client asks to connect under this id, with or without a valid token.
    ///
    /// # Errors
    /// [`RefusedError`], if the id is.
    pub fn check_id(
        &mut self,
        id: &DeviceId,
        has_token: bool,
        address: Option<IpAddr>,
        now: Duration,
    ) -> Result<(), RefusedError> {
        if self.rules.allow(address, Some(id)) {
            return Ok(());
        }
        self.check(Subject::Id { id: id.clone(), has_token }, self.rules.connects_per_id, now)
    }

    /// A device has exceeded its rate for so long. If that was too long, its id is refused, and its address if too many ids
    /// are refused like that. Returns what is refused from now on; none if the device may go on.
    pub fn exceeded(
        &mut self,
        id: &DeviceId,
        has_token: bool,
        address: Option<IpAddr>,
        lasts: Duration,
        now: Duration,
    ) -> Option<Vec<RefusalBegin>> {
        self.rules.flood_time.filter(|most| lasts >= *most)?;
        if self.rules.allow(address, Some(id)) {
            return None;
        }
        let customer = address.map(Customer::from);
        let subject = Subject::Id { id: id.clone(), has_token };
        let mut begun = Vec::new();
        begun.extend(self.begin(subject, RefusalReason::Flooding, customer, now));
        if let (Some(most), Some(customer)) = (self.rules.floods_per_address, customer) {
            let from_there = |record: &&Record| record.flooded_from == Some(customer);
            if self.refused.values().filter(from_there).count() > most {
                begun.extend(self.begin(Subject::Address(customer), RefusalReason::Flooding, None, now));
            }
        }
        Some(begun)
    }

    /// When the next refusal ends; none if nothing is refused.
    #[must_use]
    pub fn next_end(&self) -> Option<Duration> {
        self.refused.get(self.order.front()?).map(|record| record.until)
    }

    /// The refusals that have ended since the last call. Call it after each refusal that begins, and at [`next_end`](Self::next_end).
    pub fn take_ended(&mut self, now: Duration) -> Vec<RefusalEnd> {
        let mut ended = std::mem::take(&mut self.displaced);
        while self.next_end().is_some_and(|end| end <= now) {
            ended.extend(self.end_oldest());
        }
        ended
    }

    fn check(&mut self, subject: Subject, rate: Option<Rate>, now: Duration) -> Result<(), RefusedError> {
        if let Some(record) = self.refused.get_mut(&subject)
            && record.until > now
        {
            record.connects += 1;
            return Err(RefusedError { wait: record.until - now, begins: None });
        }
        let Some(rate) = rate else { return Ok(()) };
        if self.counted.entry(subject.clone()).try_take(&rate, now) {
            return Ok(());
        }
        let begins = self.begin(subject, RefusalReason::Flapping, None, now);
        Err(RefusedError { wait: self.rules.time, begins })
    }

    /// Refuses something from now on, unless it is refused already.
    fn begin(
        &mut self,
        subject: Subject,
        reason: RefusalReason,
        flooded_from: Option<Customer>,
        now: Duration,
    ) -> Option<RefusalBegin> {
        // What has ended is reported with the next call of `take_ended`, also if it begins again.
        while self.next_end().is_some_and(|end| end <= now) || self.order.len() >= REFUSED {
            let ended = self.end_oldest()?;
            self.displaced.push(ended);
        }
        if self.refused.contains_key(&subject) {
            return None;
        }
        // When the refusal ends, counting begins anew.
        self.counted.remove(&subject);
        let connects = u64::from(reason == RefusalReason::Flapping);
        let record = Record { until: now.saturating_add(self.rules.time), connects, flooded_from };
        self.refused.insert(subject.clone(), record);
        self.order.push_back(subject.clone());
        Some(RefusalBegin { subject, reason })
    }

    fn end_oldest(&mut self) -> Option<RefusalEnd> {
        let subject = self.order.pop_front()?;
        let connects = self.refused.remove(&subject)?.connects;
        Some(RefusalEnd { subject, connects })
    }
}

#[cfg(test)]
mod tests;
