//! What is known of a fleet, from all watches of its services, and what follows from a change (contract §11.4).
//!
//! The rules: an error changes nothing; the first instances of a watch move no device; later ones move the devices that belong
//! to another instance then; no instances, and an error that is final, close every device. Several watches of one fleet,
//! such as one for each datacenter, count together.
//!
//! Start reading at [`Fleet::apply`].

use std::collections::BTreeMap;
use std::sync::Arc;

use super::instance;
use super::ring::{Ring, RingError};

/// What a watch reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// All instances that it sees, as they are written where they are registered.
    Instances(Vec<String>),
    /// It sees nothing at the moment, and will try again.
    Failed,
    /// It was refused, for instance for want of a permission. It will try again, but what it saw no longer counts.
    FailedForGood,
}

/// What follows from an update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Nothing has changed.
    Nothing,
    /// These are the first instances of a watch, or it sees none as before: devices are checked against them, and those that
    /// are connected stay.
    First,
    /// The devices that belong to another instance have to move.
    Rehash,
    /// No instance is known: all devices are closed.
    CloseForNoInstances,
    /// A watch was refused: all devices are closed.
    CloseForError,
    /// These instances cannot be used, and the former ones still count.
    Unusable(RingError),
}

/// How this gateway stands in its own fleet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// No instances are known yet, or none of them is known to be this gateway.
    Unknown,
    /// It is one of the instances.
    Listed,
    /// It is not among them: every device belongs to another one.
    Absent,
    /// Another instance with the same host takes its place in the hash: every device belongs to another one.
    HiddenBy(String),
    /// Several instances have its URL: they have the same devices.
    Ambiguous(usize),
}

/// A fleet at one moment: what devices are checked against.
#[derive(Clone, Debug, Default)]
pub struct View {
    ring: Option<Ring>,
    own: Vec<String>,
}

/// What is known of a fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    scheme: String,
    vnodes: u32,
    own: Vec<String>,
    watches: BTreeMap<String, Watch>,
    own_counts: OwnCounts,
    first: First,
    view: Arc<View>,
}

/// What the first instances of a watch mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum First {
    /// The gateway has just started: they move no device.
    IsTheStart,
    /// The gateway has devices already: they are a change.
    IsAChange,
}

/// When this gateway counts as an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum OwnCounts {
    /// When a watch lists it.
    WhenListed,
    /// Always, since it has withdrawn from the fleet.
    WhileWithdrawn,
    /// Always, until a watch lists it again.
    UntilListed,
}

/// The latest of one watch.
#[derive(Clone, Debug, Default)]
struct Watch {
    /// None after an error that was final, and before the first instances.
    instances: Option<Vec<String>>,
    has_reported: bool,
}

impl View {
    /// The instance that a device belongs to, if that is not this gateway.
    #[must_use]
    pub fn elsewhere(&self, id: &[u8]) -> Option<&str> {
        let owner = self.ring.as_ref()?.owner(id)?;
        (!self.own.is_empty() && !self.own.iter().any(|own| own == owner)).then_some(owner)
    }

    /// The instances that devices belong to.
    pub fn instances(&self) -> impl Iterator<Item = &str> {
        self.ring.iter().flat_map(Ring::instances)
    }
}

impl Fleet {
    /// A fleet of which nothing is known yet. `own` are the URLs of this gateway; `scheme` is that of instances without one.
    #[must_use]
    pub fn new(scheme: &str, vnodes: u32, own: Vec<String>, first: First) -> Self {
        Self {
            scheme: scheme.to_owned(),
            vnodes,
            own,
            watches: BTreeMap::new(),
            own_counts: OwnCounts::WhenListed,
            first,
            view: Arc::default(),
        }
    }

    /// What devices are checked against now.
    #[must_use]
    pub fn view(&self) -> &Arc<View> {
        &self.view
    }

    /// Takes what a watch reports. The key is that of the watch.
    pub fn apply(&mut self, key: &str, update: Update) -> Decision {
        let is_known = self.watches.get(key).is_some_and(|watch| watch.has_reported);
        match update {
            Update::Failed => {
                // What comes next is a change: devices may have connected meanwhile.
                self.watch(key).has_reported = true;
                Decision::Nothing
            }
            Update::FailedForGood => {
                let watch = self.watch(key);
                watch.has_reported = true;
                watch.instances = None;
                // Cannot fail: the ring gets smaller.
                let _ = self.rebuild();
                Decision::CloseForError
            }
            Update::Instances(texts) => {
                let instances = instance::normalize_all(&self.scheme, texts.iter().map(String::as_str));
                if is_known
                    && self.watches.get(key).is_some_and(|watch| watch.instances.as_ref() == Some(&instances))
                {
                    return Decision::Nothing;
                }
                let former = self.watch(key).instances.replace(instances);
                let had_instances = former.is_some();
                if let Err(error) = self.rebuild() {
                    self.watch(key).instances = former;
                    return Decision::Unusable(error);
                }
                self.watch(key).has_reported = true;
                if self.own_counts == OwnCounts::UntilListed && self.is_listed() {
                    // The ring is the same.
                    self.own_counts = OwnCounts::WhenListed;
                }
                match self.all().next() {
                    _ if !is_known && self.first == First::IsTheStart => Decision::First,
                    // This gateway has withdrawn, and counts.
                    None if self.view.ring.is_some() => Decision::Rehash,
                    // A gateway that could not register before is not listed yet.
                    None if !had_instances && self.first == First::IsTheStart => Decision::First,
                    None => Decision::CloseForNoInstances,
                    Some(_) => Decision::Rehash,
                }
            }
        }
    }

    /// Forgets a watch that has ended. Its last update has no instances.
    pub fn forget(&mut self, key: &str) {
        self.watches.remove(key);
    }

    /// This gateway withdraws from the fleet, so that it gets no further devices. It counts as an instance all the same, so
    /// that those that are connected stay.
    pub fn withdraw(&mut self) {
        self.own_counts = OwnCounts::WhileWithdrawn;
        // Cannot fail, unless the ring is as large as it may be: then the former one stays.
        let _ = self.rebuild();
    }

    /// This gateway joins the fleet again. It counts as an instance until a watch lists it, and from then on when one does.
    pub fn rejoin(&mut self) {
        if self.own_counts == OwnCounts::WhileWithdrawn {
            self.own_counts = OwnCounts::UntilListed;
        }
    }

    /// Another URL of this gateway.
    pub fn add_own(&mut self, url: String) {
        if !self.own.contains(&url) {
            self.own.push(url);
            let _ = self.rebuild();
        }
    }

    /// How this gateway stands in the fleet, by what the watches report.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let mut count = 0;
        for instance in self.all() {
            count += usize::from(self.own.iter().any(|own| own == instance));
        }
        if self.own.is_empty() || self.all().next().is_none() {
            return Standing::Unknown;
        }
        let mut ring = self.view.instances();
        let is_in_ring = ring.any(|instance| self.own.iter().any(|own| own == instance));
        match count {
            0 => Standing::Absent,
            _ if !is_in_ring => {
                let host = self.own.first().and_then(|own| instance::host(own));
                let by = self.view.instances().find(|other| instance::host(other) == host);
                Standing::HiddenBy(by.unwrap_or_default().to_owned())
            }
            count if count > self.own.len() => Standing::Ambiguous(count),
            _ => Standing::Listed,
        }
    }

    fn watch(&mut self, key: &str) -> &mut Watch {
        self.watches.entry(key.to_owned()).or_default()
    }

    /// What all watches see.
    fn all(&self) -> impl Iterator<Item = &str> {
        self.watches.values().flat_map(|watch| watch.instances.iter().flatten().map(String::as_str))
    }

    /// Whether a watch lists this gateway.
    fn is_listed(&self) -> bool {
        self.all().any(|instance| self.own.iter().any(|own| own == instance))
    }

    fn rebuild(&mut self) -> Result<(), RingError> {
        let mut instances: Vec<&str> = self.all().collect();
        if self.own_counts != OwnCounts::WhenListed {
            instances.extend(self.own.iter().map(String::as_str));
        }
        instances.sort_unstable();
        let ring = match Ring::new(instances, self.vnodes) {
            Ok(ring) => Some(ring),
            Err(RingError::Empty) => None,
            Err(error) => return Err(error),
        };
        self.view = Arc::new(View { ring, own: self.own.clone() });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: &str = "https://t1";

    fn fleet() -> Fleet {
        Fleet::new("https", 211, vec![OWN.to_owned()], First::IsTheStart)
    }

    fn instances(urls: &[&str]) -> Update {
        Update::Instances(urls.iter().map(|url| (*url).to_owned()).collect())
    }

    fn moving(fleet: &Fleet) -> usize {
        (0..1000)
            .filter(|number| fleet.view().elsewhere(format!("mac:{number:012x}").as_bytes()).is_some())
            .count()
    }

    #[test]
    fn the_first_instances_move_no_device_and_later_ones_those_that_belong_elsewhere() {
        let mut fleet = fleet();
        assert_eq!(moving(&fleet), 0, "nothing is known yet");
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::First);
        assert!((300..700).contains(&moving(&fleet)), "{}", moving(&fleet));
        assert_eq!(fleet.apply("talaria", instances(&["t2:443", "t1"])), Decision::Nothing);
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2", "t3"])), Decision::Rehash);
        assert_eq!(fleet.apply("talaria", instances(&["t1"])), Decision::Rehash);
        assert_eq!(moving(&fleet), 0);
    }

    #[test]
    fn in_a_gateway_that_has_devices_the_first_instances_are_a_change() {
        let mut fleet = Fleet::new("https", 211, vec![OWN.to_owned()], First::IsAChange);
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::Rehash);
    }

    #[test]
    fn an_error_changes_nothing_and_what_comes_after_it_is_a_change() {
        let mut fleet = fleet();
        assert_eq!(fleet.apply("talaria", Update::Failed), Decision::Nothing);
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::Rehash);
        let moved = moving(&fleet);
        assert_eq!(fleet.apply("talaria", Update::Failed), Decision::Nothing);
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::Nothing);
        assert_eq!(moving(&fleet), moved);
    }

    #[test]
    fn no_instances_and_a_final_error_close_all_and_it_comes_back_by_itself() {
        let mut fleet = fleet();
        fleet.apply("talaria", instances(&["t1", "t2"]));
        assert_eq!(fleet.apply("talaria", instances(&[])), Decision::CloseForNoInstances);
        assert_eq!(moving(&fleet), 0, "no instance is known that a device could belong to");
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::Rehash);
        assert_eq!(fleet.apply("talaria", Update::FailedForGood), Decision::CloseForError);
        assert_eq!(fleet.apply("talaria", instances(&[])), Decision::First, "all are closed already");
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::Rehash);
    }

    #[test]
    fn an_empty_list_closes_no_device_if_there_were_no_instances_before() {
        let mut fleet = fleet();
        fleet.apply("talaria", Update::Failed);
        assert_eq!(fleet.apply("talaria", instances(&[])), Decision::First);
        assert_eq!(fleet.apply("talaria", instances(&["t1"])), Decision::Rehash);
        assert_eq!(fleet.apply("talaria", instances(&[])), Decision::CloseForNoInstances);
    }

    #[test]
    fn the_watches_of_a_fleet_count_together() {
        let mut fleet = fleet();
        assert_eq!(fleet.apply("talaria@east", instances(&["t1"])), Decision::First);
        assert_eq!(fleet.apply("talaria@west", instances(&["t2"])), Decision::First);
        assert!(moving(&fleet) > 0);
        assert_eq!(fleet.apply("talaria@west", instances(&[])), Decision::Rehash);
        assert_eq!(moving(&fleet), 0);
        assert_eq!(fleet.apply("talaria@east", instances(&[])), Decision::CloseForNoInstances);
    }

    #[test]
    fn a_gateway_that_is_not_one_of_its_own_fleet_is_noticed() {
        let mut fleet = fleet();
        assert_eq!(fleet.standing(), Standing::Unknown);
        fleet.apply("talaria", instances(&["t2"]));
        assert_eq!((fleet.standing(), moving(&fleet)), (Standing::Absent, 1000));
        fleet.apply("talaria", instances(&["t2", "t1", "t1"]));
        assert_eq!(fleet.standing(), Standing::Ambiguous(2));
        fleet.apply("talaria", instances(&["t2", "t1", "t1:8443"]));
        assert_eq!(fleet.standing(), Standing::HiddenBy("https://t1:8443".to_owned()));
        fleet.apply("talaria", instances(&["t2", "t1"]));
        assert_eq!(fleet.standing(), Standing::Listed);
    }

    #[test]
    fn a_gateway_that_withdraws_keeps_its_devices_until_it_is_listed_again() {
        let mut fleet = fleet();
        fleet.apply("talaria", instances(&["t1", "t2"]));
        let moved = moving(&fleet);
        fleet.withdraw();
        assert_eq!(fleet.apply("talaria", instances(&["t2"])), Decision::Rehash);
        assert_eq!(moving(&fleet), moved);
        assert_eq!(fleet.apply("talaria", instances(&[])), Decision::Rehash, "it counts as an instance");
        fleet.rejoin();
        assert_eq!(fleet.apply("talaria", instances(&["t2", "t3"])), Decision::Rehash);
        assert!(moving(&fleet) < 1000, "it is not registered yet");
        assert_eq!(fleet.apply("talaria", instances(&["t1", "t2"])), Decision::Rehash);
        fleet.apply("talaria", instances(&["t2"]));
        assert_eq!(moving(&fleet), 1000, "it has been listed again");
    }

    #[test]
    fn more_instances_than_a_ring_can_have_change_nothing() {
        let mut fleet = Fleet::new("https", 100_000, vec![OWN.to_owned()], First::IsTheStart);
        fleet.apply("talaria", instances(&["t1", "t2"]));
        let moved = moving(&fleet);
        let many: Vec<String> = (0..11).map(|number| format!("t{number}")).collect();
        assert!(matches!(fleet.apply("talaria", Update::Instances(many)), Decision::Unusable(_)));
        assert_eq!(moving(&fleet), moved);
    }
}
