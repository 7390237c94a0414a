//! Settings that change while the gateway runs (contract §14.7).
//!
//! A component whose settings can change implements [`Live`]: it lists the keys of its section and says of each whether it
//! is taken up while it runs, and if not, why. A change has two steps. [`Live::prepare`] does all that can fail, such as
//! reading files, and has no effect; the [`Change`] that it returns takes effect and cannot fail. So the changes of many
//! components are made together or not at all.
//!
//! Deliberately absent: where the new settings come from. Reading them, and the order of the two steps, is the matter of
//! `reload`.

use std::sync::Arc;

/// A key of the configuration that belongs to a component, relative to the section of the component. The longest key that is
/// the changed one or contains it decides; the empty key is the section itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The key, such as `tls` or `rate.perAddress`.
    pub key: &'static str,
    /// When a change of it takes effect.
    pub takes_effect: TakesEffect,
}

/// When a changed setting takes effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakesEffect {
    /// At once.
    Live,
    /// At the next start, for this reason.
    AtStart(&'static str),
}

/// The second step of a change. It takes effect at once and cannot fail. It runs on a thread that may block.
pub type Change = Box<dyn FnOnce() + Send>;

/// Why a change cannot be made. Nothing has changed.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct PrepareError(pub String);

/// A component whose settings, of the type `C`, can change while it runs.
pub trait Live<C>: Send + Sync {
    /// The keys of its section.
    const SETTINGS: &'static [Setting];

    /// Whether the configuration names files by their paths whose content may have changed although the configuration has
    /// not. Then a change is prepared each time the configuration is read.
    const READS_FILES: bool = false;

    /// Prepares a change to these settings. May block; needs a tokio runtime.
    ///
    /// # Errors
    /// [`PrepareError`] if the settings cannot be used.
    fn prepare(self: &Arc<Self>, settings: &C) -> Result<Change, PrepareError>;
}

impl Setting {
    /// A key that takes effect at once.
    #[must_use]
    pub const fn live(key: &'static str) -> Self {
        Self { key, takes_effect: TakesEffect::Live }
    }

    /// A key that takes effect at the next start, and why.
    #[must_use]
    pub const fn at_start(key: &'static str, reason: &'static str) -> Self {
        Self { key, takes_effect: TakesEffect::AtStart(reason) }
    }
}
