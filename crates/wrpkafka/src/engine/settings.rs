//! The configuration as it is now, shared by the publisher and the worker.

use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::{Mutex, MutexGuard};

use crate::config::Config;

pub(crate) struct Settings {
    current: ArcSwap<Config>,
    /// Held while the configuration is changed: one change after the other.
    changing: Mutex<()>,
}

impl Settings {
    pub(crate) fn new(config: Config) -> Self {
        Self { current: ArcSwap::from_pointee(config), changing: Mutex::new(()) }
    }

    pub(crate) fn get(&self) -> Arc<Config> {
        self.current.load_full()
    }

    /// Keeps others from changing the configuration.
    pub(crate) fn begin_change(&self) -> MutexGuard<'_, ()> {
        self.changing.lock()
    }

    pub(crate) fn set(&self, config: Config) {
        self.current.store(Arc::new(config));
    }
}
