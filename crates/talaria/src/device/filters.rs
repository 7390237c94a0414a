//! Filters: which devices the operator excludes by the claims of their tokens (contract §7.2).
//!
//! They are checked only when a device connects; connected devices stay. Without filters a check costs one atomic load, and
//! no claims are parsed.

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwap;

use talaria_protocol::attributes::{Attributes, Location, Values};
use talaria_protocol::connect::Identity;

/// How many keys may have filters.
pub const MAX_FILTERS: usize = 1000;

/// The filters by their keys.
pub type Table = BTreeMap<Box<str>, Arc<Values>>;

/// The current filters.
#[derive(Debug, Default)]
pub struct Filters {
    table: ArcSwap<Table>,
}

/// The filter that excludes a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Match {
    /// The filter's key.
    pub key: Box<str>,
    /// Where the device has the attribute.
    pub location: Location,
}

/// There are already as many filters as there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MAX_FILTERS} filters already, remove one first")]
pub struct TooManyFiltersError;

impl Filters {
    /// The current filters by their keys.
    #[must_use]
    pub fn table(&self) -> Arc<Table> {
        self.table.load_full()
    }

    /// Excludes devices whose attribute of this name is one of the values. Returns whether the key had no filter before.
    ///
    /// # Errors
    /// If there are too many.
    pub fn set(&self, key: &str, values: Values) -> Result<bool, TooManyFiltersError> {
        let values = Arc::new(values);
        let before = self.table.rcu(|table| {
            let mut table = Table::clone(table);
            if table.len() < MAX_FILTERS || table.contains_key(key) {
                table.insert(key.into(), Arc::clone(&values));
            }
            table
        });
        let is_new = !before.contains_key(key);
        if is_new && before.len() >= MAX_FILTERS { Err(TooManyFiltersError) } else { Ok(is_new) }
    }

    /// Removes the filter of this key, if there is one.
    pub fn remove(&self, key: &str) {
        self.table.rcu(|table| {
            let mut table = Table::clone(table);
            table.remove(key);
            table
        });
    }

    /// The first filter that excludes this device.
    #[must_use]
    pub fn find(&self, identity: &Identity) -> Option<Match> {
        let table = self.table.load();
        if table.is_empty() {
            return None;
        }
        let attributes = Attributes::new(identity.claims.as_ref(), identity.session_id.as_str());
        table.iter().find_map(|(key, values)| {
            let location = attributes.find(key, values)?;
            Some(Match { key: key.clone(), location })
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use talaria_protocol::claims::Claims;

    use super::*;
    use crate::device::session_id;

    fn partner(name: &str) -> Identity {
        let claims = Claims::new(json!({"partner-id": name}).as_object().unwrap());
        Identity { claims: Some(claims), ..Identity::new("uuid:a".parse().unwrap(), session_id::random()) }
    }

    #[test]
    fn a_filter_holds_until_it_is_replaced_or_lifted() {
        let filters = Filters::default();
        assert_eq!(filters.find(&partner("p")), None);
        assert_eq!(filters.set("partner-id", Values::new(vec![json!("p")]).unwrap()), Ok(true));
        let found = filters.find(&partner("p")).unwrap();
        assert_eq!(found, Match { key: "partner-id".into(), location: Location::Claims });
        assert_eq!(filters.set("partner-id", Values::new(vec![json!("q")]).unwrap()), Ok(false));
        assert_eq!(filters.find(&partner("p")), None);
        assert!(filters.find(&partner("q")).is_some());
        filters.remove("partner-id");
        assert_eq!(filters.find(&partner("q")), None);
    }

    #[test]
    fn the_number_of_filters_is_bounded() {
        let filters = Filters::default();
        for number in 0..MAX_FILTERS {
            assert_eq!(filters.set(&number.to_string(), Values::default()), Ok(true));
        }
        assert_eq!(filters.set("more", Values::default()), Err(TooManyFiltersError));
        assert_eq!(filters.set("5", Values::default()), Ok(false));
        assert_eq!(filters.table().len(), MAX_FILTERS);
    }
}
