//! Which line of the table the operator has selected.

use crate::fleet::Fleet;

/// What the operator has selected: a line of the table. With several gateways the first line is the fleet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Cursor(pub(super) usize);

impl Cursor {
    /// One line up.
    pub(crate) fn up(self) -> Self {
        Self(self.0.saturating_sub(1))
    }

    /// One line down.
    pub(crate) fn down(self, fleet: &Fleet) -> Self {
        Self((self.0 + 1).min(Self::last(fleet)))
    }

    /// The index of the selected gateway; `None` for the fleet.
    pub(super) fn gateway(self, fleet: &Fleet) -> Option<usize> {
        if Self::selects(fleet) { self.0.checked_sub(1) } else { Some(0) }
    }

    /// Whether there is something to select: with several gateways the table begins with a line for all together.
    pub(super) fn selects(fleet: &Fleet) -> bool {
        fleet.gateways().len() > 1
    }

    fn last(fleet: &Fleet) -> usize {
        (fleet.gateways().len() + usize::from(Self::selects(fleet))).saturating_sub(1)
    }
}
