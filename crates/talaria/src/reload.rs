//! The configuration in effect, and its change while the gateway runs (contract §14.7).
//!
//! A change comes from the files, on SIGHUP or because they have changed, or from an operator at the control server. Either
//! all of it is made or, if anything of it has a fault, nothing: first the new configuration is read as at a start, then every
//! component that it concerns prepares its part, and only then all of them make it.
//!
//! Which keys a component takes up while it runs is its own matter ([`Live`](crate::live::Live)). Keys that take effect at the
//! next start keep the values of the start until then; they are named in the log and in the answer, with the reason.
//!
//! What an operator sets at the control server is a document in place of the file. It is gone after a restart or when the
//! files are read again, unless `config.persist` names a file that keeps it.
//!
//! Start reading at [`Reload::again`] and [`Reload::edit`].

pub mod difference;
pub mod part;

mod metrics;
mod persist;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{error, info, warn};

use crate::config::tree::{Node, Value};
use crate::config::{self, LoadError, Loaded, Sources, Warning, document};
use crate::live::{Change, PrepareError, TakesEffect};

pub use metrics::ReloadMetrics;
pub use persist::PersistError;

use part::{Part, takes_effect};
use persist::Persist;
use watch::Watch;

/// The configuration of a running gateway.
pub struct Reload {
    parts: Vec<Part>,
    /// Where the configuration at the start was read from.
    sources: Sources,
    /// The configuration of the start, whose values hold for the keys that are taken up at a start.
    started: Node,
    /// Held by the change that is being made, which may wait for a key server, so only on threads that may block.
    changing: Mutex<()>,
    state: Mutex<State>,
    metrics: ReloadMetrics,
    /// Part of the tag of a generation, so that one of an earlier process does not match.
    started_at: i64,
}

/// What the last change has made. It is locked for moments only.
struct State {
    /// The configuration that was read last.
    read: Node,
    /// The layer of it between the defaults and the environment.
    document: Option<Node>,
    generation: u64,
    cause: Cause,
    since: jiff::Timestamp,
    waiting: Vec<WaitingKey>,
    last_failure: Option<FailedChange>,
}

/// What causes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The start of the process.
    Start,
    /// SIGHUP.
    Signal,
    /// The file has changed.
    File,
    /// An operator, at the control server.
    Control,
}

/// A change by an operator.
#[derive(Debug)]
pub enum Edit {
    /// This document takes the place of the one before.
    Replace(Node),
    /// This merge patch (RFC 7396) is applied to it.
    Patch(Node),
    /// The files are read again, and what an operator has set is forgotten.
    Reset,
}

/// What a change has changed, or would change.
#[derive(Debug)]
pub struct Changed {
    /// The generation of the configuration in effect.
    pub generation: u64,
    /// Its tag.
    pub tag: String,
    /// The keys that have other values now and have been taken up.
    pub live: Vec<String>,
    /// The keys that have other values than at the start, and take effect at the next one.
    pub waiting: Vec<WaitingKey>,
    /// What was read but is probably not meant.
    pub warnings: Vec<Warning>,
}

/// A changed key that takes effect at the next start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitingKey {
    /// Its path.
    pub key: String,
    /// Why not at once.
    pub reason: &'static str,
}

/// A change that had a fault.
#[derive(Clone, Debug)]
pub struct FailedChange {
    /// What caused the change.
    pub cause: Cause,
    /// When it was tried.
    pub at: jiff::Timestamp,
    /// Every fault.
    pub faults: Vec<String>,
}

/// Which configuration is in effect, and what became of the last changes.
#[derive(Debug)]
pub struct Shown {
    /// The tag of the generation.
    pub tag: String,
    /// The number of the configuration in effect; 1 is that of the start.
    pub generation: u64,
    /// What caused it.
    pub cause: Cause,
    /// Since when it is in effect.
    pub since: jiff::Timestamp,
    /// The changed keys that take effect at the next start.
    pub waiting: Vec<WaitingKey>,
    /// The last change that had a fault.
    pub last_failure: Option<FailedChange>,
}

/// Why a change was not made. Nothing has changed.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The new configuration cannot be used.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// Components cannot take it up.
    #[error("{}", lines(.0))]
    Prepare(Vec<PrepareError>),
    /// It cannot be kept.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// The configuration has changed since the operator has read it.
    #[error("the configuration has changed: its tag is {0} now")]
    OtherGeneration(String),
    /// The process stops.
    #[error("the process ends")]
    Stopping,
}

impl Reload {
    /// For a gateway of these parts that was started with `loaded`.
    #[must_use]
    pub fn new(loaded: Loaded, parts: Vec<Part>, metrics: ReloadMetrics) -> Arc<Self> {
        let now = jiff::Timestamp::now();
        let state = State {
            read: loaded.tree.clone(),
            document: loaded.document,
            generation: 1,
            cause: Cause::Start,
            since: now,
            waiting: Vec::new(),
            last_failure: None,
        };
        Arc::new(Self {
            parts,
            sources: loaded.sources,
            started: loaded.tree,
            changing: Mutex::default(),
            state: Mutex::new(state),
            metrics,
            started_at: now.as_second(),
        })
    }

    /// The whole configuration as JSON, with its secrets masked, and the tag of its generation.
    #[must_use]
    pub fn document(&self) -> (serde_json::Value, String) {
        let state = self.state.lock();
        (document::to_masked_json(&state.read), self.tag(state.generation))
    }

    /// Which configuration is in effect now.
    #[must_use]
    pub fn shown(&self) -> Shown {
        let state = self.state.lock();
        Shown {
            tag: self.tag(state.generation),
            generation: state.generation,
            cause: state.cause,
            since: state.since,
            waiting: state.waiting.clone(),
            last_failure: state.last_failure.clone(),
        }
    }

    /// Reads the files again.
    ///
    /// # Errors
    /// [`ReloadError`], which has been logged.
    pub async fn again(self: &Arc<Self>, cause: Cause) -> Result<Changed, ReloadError> {
        let reload = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || {
            let _changing = reload.changing.lock();
            reload.change(&reload.sources, cause, Persist::Nothing)
        });
        // The gateway's own tasks keep running meanwhile.
        changed.await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// Makes the change of an operator, if the configuration still has the tag that it was made for; any if none. With
    /// `dry_run` nothing is made, and the answer says what would be.
    ///
    /// # Errors
    /// [`ReloadError`], which has been logged unless it was a dry run.
    pub async fn edit(
        self: &Arc<Self>,
        edit: Edit,
        tag: Option<String>,
        dry_run: bool,
    ) -> Result<Changed, ReloadError> {
        let reload = Arc::clone(self);
        let changed = tokio::task::spawn_blocking(move || {
            let _changing = reload.changing.lock();
            let (sources, persist) = reload.edited(edit, tag)?;
            let persist = if dry_run { Persist::DryRun } else { persist };
            reload.change(&sources, Cause::Control, persist)
        });
        changed.await.unwrap_or(Err(ReloadError::Stopping))
    }

    /// Reads the files again whenever the configuration file has changed. Never ends by itself.
    pub async fn watch(self: &Arc<Self>) {
        let mut watch = Watch::new(self.file().as_deref());
        let mut ticks = interval(watch::PERIOD);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if watch.has_changed(self.file().as_deref()) {
                // A fault has been logged.
                let _ = self.again(Cause::File).await;
            }
        }
    }

    /// The configuration file, if there is one.
    fn file(&self) -> Option<PathBuf> {
        config::file::find(self.sources.file.as_ref()?, &self.sources.directories).ok()
    }

    /// The sources after an edit, if the configuration still has this tag, and what is kept of it.
    fn edited(&self, edit: Edit, tag: Option<String>) -> Result<(Sources, Persist), ReloadError> {
        let state = self.state.lock();
        let now = self.tag(state.generation);
        if tag.is_some_and(|tag| tag != now) {
            return Err(ReloadError::OtherGeneration(now));
        }
        let persist = self.persist_path();
        let document = match edit {
            Edit::Reset => {
                let sources = Sources { persisted: false, ..self.sources.clone() };
                return Ok((sources, persist.map_or(Persist::Nothing, Persist::Remove)));
            }
            Edit::Replace(mut document) => {
                document::restore_secrets(&mut document, &state.read);
                document
            }
            Edit::Patch(mut patch) => {
                document::restore_secrets(&mut patch, &state.read);
                let empty = || Node { value: Value::Map(Vec::new()), origin: patch.origin.clone() };
                let mut document = state.document.clone().unwrap_or_else(empty);
                document::merge_patch(&mut document, patch);
                document
            }
        };
        let persist = persist
            .map_or(Persist::Nothing, |path| Persist::Write(path, document::to_json_with_secrets(&document)));
        Ok((Sources { document: Some(Arc::new(document)), ..self.sources.clone() }, persist))
    }

    /// Where the document is kept that an operator sets: as the start has it, since it is found there at the next one.
    fn persist_path(&self) -> Option<PathBuf> {
        match &self.started.at(config::PERSIST.split('.'))?.value {
            Value::Text(path) if !path.is_empty() => Some(path.into()),
            _ => None,
        }
    }

    /// Makes a change: reads the sources, lets every part that is concerned prepare, keeps the document, and lets all make it.
    fn change(&self, sources: &Sources, cause: Cause, persist: Persist) -> Result<Changed, ReloadError> {
        let is_dry_run = matches!(persist, Persist::DryRun);
        let made = self.try_change(sources, cause, persist);
        if let Err(error) = &made
            && !is_dry_run
        {
            let at = jiff::Timestamp::now();
            self.metrics.failed(cause, at.as_second());
            error!(%error, source = cause.label(), "the configuration was not reloaded, nothing changes");
            let faults = error.to_string().lines().map(str::to_owned).collect();
            self.state.lock().last_failure = Some(FailedChange { cause, at, faults });
        }
        made
    }

    fn try_change(&self, sources: &Sources, cause: Cause, persist: Persist) -> Result<Changed, ReloadError> {
        let loaded = config::load(sources)?;
        let waiting: Vec<WaitingKey> = self.waiting(&loaded.tree);
        // The values of the start hold for the keys that wait for the next one.
        let mut effective = loaded.tree.clone();
        for WaitingKey { key, .. } in &waiting {
            let path: Vec<&str> = key.split('.').collect();
            match self.started.at(path.iter().copied()) {
                Some(node) => effective.set(&path, node.clone()),
                None => drop(effective.remove(&path)),
            }
        }
        let config = config::typed(&effective)?;
        let changed = self.state.lock().read.changed(&loaded.tree);
        let is_live = |key: &String| self.takes_effect(key) == TakesEffect::Live;
        let live: Vec<String> = changed.iter().filter(|key| is_live(key)).cloned().collect();
        let concerned = self.parts.iter().filter_map(|part| part.concerned(&live));
        let (changes, faults) = prepare(concerned.map(|part| part(&config)));
        if !faults.is_empty() {
            return Err(ReloadError::Prepare(faults));
        }
        let warnings = loaded.warnings;
        if matches!(persist, Persist::DryRun) {
            let generation = self.state.lock().generation;
            let tag = self.tag(generation);
            return Ok(Changed { generation, tag, live, waiting, warnings });
        }
        persist.make()?;
        for change in changes {
            change();
        }
        config::log_warnings(&warnings);
        let mut state = self.state.lock();
        if !changed.is_empty() {
            state.generation += 1;
            (state.cause, state.since) = (cause, jiff::Timestamp::now());
        }
        state.read = loaded.tree;
        state.document = loaded.document;
        state.waiting.clone_from(&waiting);
        let generation = state.generation;
        drop(state);
        self.metrics.succeeded(cause);
        self.metrics.generation.set(i64::try_from(generation).unwrap_or(i64::MAX));
        self.metrics.waiting.set(i64::try_from(waiting.len()).unwrap_or(i64::MAX));
        info!(generation, source = cause.label(), keys = ?live, "configuration reloaded");
        if !waiting.is_empty() {
            let keys: Vec<&str> = waiting.iter().map(|waiting| waiting.key.as_str()).collect();
            warn!(?keys, "these keys have changed and take effect at the next start");
        }
        Ok(Changed { generation, tag: self.tag(generation), live, waiting, warnings })
    }

    fn waiting(&self, read: &Node) -> Vec<WaitingKey> {
        let keys = self.started.changed(read).into_iter();
        keys.filter_map(|key| match self.takes_effect(&key) {
            TakesEffect::Live => None,
            TakesEffect::AtStart(reason) => Some(WaitingKey { key, reason }),
        })
        .collect()
    }

    fn takes_effect(&self, path: &str) -> TakesEffect {
        takes_effect(self.parts.iter().flat_map(Part::keys), path)
    }

    fn tag(&self, generation: u64) -> String {
        format!("{:x}-{generation}", self.started_at)
    }
}

impl Cause {
    /// Its name: the label `source` of `config_reloads_total`, and in the log.
    #[must_use]
    pub fn label(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Signal => "signal",
            Self::File => "file",
            Self::Control => "control",
        }
    }
}

fn prepare(prepared: impl Iterator<Item = Result<Change, PrepareError>>) -> (Vec<Change>, Vec<PrepareError>) {
    let (mut changes, mut faults) = (Vec::new(), Vec::new());
    for prepared in prepared {
        match prepared {
            Ok(change) => changes.push(change),
            Err(fault) => faults.push(fault),
        }
    }
    (changes, faults)
}

fn lines(faults: &[PrepareError]) -> String {
    faults.iter().map(PrepareError::to_string).collect::<Vec<_>>().join("\n")
}
