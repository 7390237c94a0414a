//! What the parts of service discovery share: what is known, what is wished, and what is in force.

use tokio::sync::watch;

/// What discovery knows at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No service discovery is configured.
    Off,
    /// No watch has seen any instances yet.
    Connecting,
    /// The latest answers of all watches were good.
    Connected,
    /// The latest answer of a watch was an error. What was known before still counts, unless the error was final.
    Failing,
}

/// What the coordinator, the backends and the rest of the gateway share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) state: watch::Sender<State>,
    pub(super) wishes: watch::Sender<Wishes>,
    /// How many registrations are in force.
    pub(super) registered: watch::Sender<usize>,
}

/// Why this gateway is not to be registered, apart from its gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wishes {
    /// Drains of all devices that are running.
    pub(super) drains: usize,
    pub(super) is_stopping: bool,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            state: watch::Sender::new(State::Off),
            wishes: watch::Sender::default(),
            registered: watch::Sender::new(0),
        }
    }
}
