//! The task that knows the fleet: it takes the reports of the backend, publishes the ring, starts moves of devices, and
//! decides whether this gateway is to be registered.

use std::collections::HashMap;
use std::fmt::Display;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use talaria_protocol::discovery::{Decision, First, Fleet, Update};
use talaria_protocol::session::{CloseReason, Reason};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{error, info, warn};

use super::config::{Backend, Config};
use super::membership::Membership;
use super::metrics::{AllClosed, DiscoveryMetrics};
use super::presence::{Shared, State};
use super::registrations::Registrations;
use super::rehash::{Moving, Rehash};
use super::report::{Finality, Report, Reporter, Seen, WatchName};
use super::standing::StandingReport;
use super::{config, consul, fixed, zookeeper};
use crate::device::Manager;
use crate::event::ReceiverInstances;

/// How long a gateway that is to be registered in another way waits at most until it is deregistered.
const LONGEST_WITHDRAWAL: Duration = Duration::from_secs(5);

/// What the rest of the gateway asks of the coordinator.
pub(super) enum Command {
    /// Takes up another configuration, and says so when that is done.
    Apply(Option<Box<Config>>, oneshot::Sender<()>),
}

/// The task and what it owns.
pub(super) struct Coordinator {
    manager: Arc<Manager>,
    shared: Arc<Shared>,
    membership: Arc<Membership>,
    /// The instances of all watches of event receivers together.
    receivers: Arc<ReceiverInstances>,
    metrics: DiscoveryMetrics,
    config: Option<Config>,
    /// What the first instances mean that the next backend reports.
    first: First,
    fleet: Fleet,
    backend: Option<RunningBackend>,
    watches: HashMap<String, Watch>,
    is_withdrawn: bool,
    standing: StandingReport,
    moving: Option<AbortHandle>,
}

/// The tasks of a backend. Dropping it ends them.
struct RunningBackend {
    reports: mpsc::Receiver<Report>,
    /// Whether this gateway is to be registered.
    registers: watch::Sender<bool>,
    task: AbortHandle,
}

/// The latest of a watch.
struct Watch {
    name: Arc<WatchName>,
    has_answered: bool,
    failure: Option<Finality>,
    /// What it has seen last, of event receivers only.
    receivers: Vec<String>,
}

impl Coordinator {
    pub(super) fn new(
        manager: Arc<Manager>,
        shared: Arc<Shared>,
        membership: Arc<Membership>,
        receivers: Arc<ReceiverInstances>,
        metrics: DiscoveryMetrics,
    ) -> Self {
        Self {
            manager,
            shared,
            membership,
            receivers,
            metrics,
            config: None,
            first: First::IsTheStart,
            fleet: Fleet::new("", 0, Vec::new(), First::IsTheStart),
            backend: None,
            watches: HashMap::new(),
            is_withdrawn: false,
            standing: StandingReport::default(),
            moving: None,
        }
    }

    pub(super) async fn run(mut self, mut commands: mpsc::Receiver<Command>) {
        let mut wishes = self.shared.wishes.subscribe();
        let mut gate = self.manager.gate().subscribe();
        loop {
            let due = self.standing.due();
            tokio::select! {
                command = commands.recv() => match command {
                    Some(Command::Apply(config, done)) => {
                        self.apply(config.map(|config| *config)).await;
                        // The caller may have gone.
                        let _ = done.send(());
                    }
                    None => return,
                },
                report = next_report(&mut self.backend) => self.take(report),
                // The senders live as long as the manager and what is shared.
                _ = wishes.changed() => self.settle_registration(),
                _ = gate.changed() => self.settle_registration(),
                () = at(due) => self.look_at_standing(),
            }
        }
    }

    async fn apply(&mut self, config: Option<Config>) {
        if self.config == config {
            return;
        }
        let former = self.config.take();
        self.config = config;
        let is_same_backend = matches!((&former, &self.config), (Some(former), Some(config)) if former.backend == config.backend);
        let is_same_fleet = matches!((&former, &self.config), (Some(former), Some(config))
            if (&former.default_scheme, former.vnodes, &former.own, &former.services)
                == (&config.default_scheme, config.vnodes, &config.own, &config.services));
        self.standing.reset();
        if is_same_backend && is_same_fleet {
            self.publish();
        } else {
            if !is_same_backend {
                self.deregister().await;
            }
            self.start();
        }
        self.first = First::IsAChange;
        self.set_state();
    }

    /// Withdraws what the current backend has registered, as far as that can be done in some seconds.
    async fn deregister(&self) {
        let Some(backend) = &self.backend else { return };
        backend.registers.send_replace(false);
        let mut registered = self.shared.registered.subscribe();
        // What cannot be withdrawn ends by its checks or its session.
        let _ = timeout(LONGEST_WITHDRAWAL, registered.wait_for(|registrations| *registrations == 0)).await;
    }

    /// Starts the backend of the configuration in place of the former one.
    fn start(&mut self) {
        self.backend = None;
        for watch in std::mem::take(&mut self.watches).into_values() {
            self.metrics.remove(&watch.name);
        }
        self.publish_receivers();
        let Some(config) = &self.config else {
            info!("service discovery is off");
            self.fleet = Fleet::new("", 0, Vec::new(), self.first);
            self.stop_moving();
            self.publish();
            return;
        };
        // Until the first report, devices are checked against what was known before.
        self.fleet = Fleet::new(&config.default_scheme, config.vnodes, config.own.clone(), self.first);
        let is_registered = !matches!(config.backend, Backend::Fixed(_));
        if is_registered && (self.is_withdrawn || self.first == First::IsAChange) {
            self.fleet.withdraw();
        }
        if !self.is_withdrawn {
            // Devices that are connected stay until this gateway is listed again.
            self.fleet.rejoin();
        }
        let (reporter, reports) = Reporter::channel();
        let registers = watch::Sender::new(!self.is_withdrawn);
        let task = match &config.backend {
            Backend::Fixed(instances) => {
                info!(?instances, "using a fixed set of instances for service discovery");
                tokio::spawn(fixed::run(instances.clone(), reporter))
            }
            Backend::Consul(config) => {
                info!("using consul for service discovery");
                let registrations = self.registrations(&registers);
                tokio::spawn(consul::run((**config).clone(), reporter, registrations))
            }
            Backend::ZooKeeper(config) => {
                info!("using zookeeper for service discovery");
                let registrations = self.registrations(&registers);
                tokio::spawn(zookeeper::run((**config).clone(), reporter, registrations))
            }
        };
        self.backend = Some(RunningBackend { reports, registers, task: task.abort_handle() });
    }

    fn registrations(&self, wanted: &watch::Sender<bool>) -> Registrations {
        Registrations::new(wanted.subscribe(), Arc::clone(&self.shared), self.metrics.clone())
    }

    fn take(&mut self, report: Report) {
        let Report { watch: name, seen } = report;
        let has_ended = matches!(seen, Seen::Ended);
        let Some(config) = &self.config else { return };
        let is_fleet = config.is_fleet(&name.service) || matches!(config.backend, Backend::Fixed(_));
        let watch = self.watches.entry(name.key.clone()).or_insert_with(|| Watch {
            name: Arc::clone(&name),
            has_answered: false,
            failure: None,
            receivers: Vec::new(),
        });
        let update = match seen {
            Seen::Instances(instances) => {
                watch.has_answered = true;
                if watch.failure.take().is_some() {
                    info!(service = name.service, watch = name.key, "service discovery answers again");
                }
                info!(service = name.service, watch = name.key, ?instances, "service discovery update");
                self.metrics.count_update(&name, instances.len());
                if config::is_receivers(&name.service) {
                    watch.receivers.clone_from(&instances);
                }
                Update::Instances(instances)
            }
            Seen::Failed { error, finality } => {
                self.metrics.count_error(&name);
                let is_news = watch.failure != Some(finality);
                watch.failure = Some(finality);
                match finality {
                    Finality::Passing => {
                        if is_news {
                            warn!(
                                service = name.service,
                                watch = name.key,
                                error,
                                "service discovery error, what was known before still counts"
                            );
                        }
                        Update::Failed
                    }
                    Finality::Final => {
                        self.metrics.forget_instances(&name);
                        if is_news && is_fleet {
                            error!(
                                service = name.service,
                                watch = name.key,
                                error,
                                "disconnecting all devices: service discovery error"
                            );
                            self.close_all(
                                &name.service,
                                AllClosed::Error,
                                CloseReason::with_error(Reason::ServiceDiscoveryError, &error),
                            );
                        }
                        Update::FailedForGood
                    }
                }
            }
            Seen::Ended => {
                info!(service = name.service, watch = name.key, "what was watched is gone");
                Update::Instances(Vec::new())
            }
        };
        if is_fleet {
            self.update_fleet(&name, update);
        }
        if has_ended {
            self.watches.remove(&name.key);
            self.metrics.remove(&name);
            self.fleet.forget(&name.key);
        }
        if config::is_receivers(&name.service) {
            self.publish_receivers();
        }
        self.settle_registration();
        self.set_state();
    }

    fn publish_receivers(&self) {
        let known = self.watches.values().flat_map(|watch| &watch.receivers);
        self.receivers.set(known.map(String::as_str));
    }

    fn update_fleet(&mut self, name: &WatchName, update: Update) {
        let decision = self.fleet.apply(&name.key, update);
        self.publish();
        match decision {
            Decision::Nothing | Decision::CloseForError => {}
            Decision::First => info!(service = name.service, "ignoring initial instances"),
            Decision::Rehash => self.start_moving(&name.service, Moving::Elsewhere),
            Decision::CloseForNoInstances => {
                error!(
                    service = name.service,
                    "disconnecting all devices: service discovery updated with no instances"
                );
                let reason = Reason::ServiceDiscoveryNoInstances.into();
                self.close_all(&name.service, AllClosed::NoInstances, reason);
            }
            Decision::Unusable(error) => self.complain(name, &error),
        }
        self.look_at_standing();
    }

    fn complain(&self, name: &WatchName, error: &dyn Display) {
        self.metrics.count_error(name);
        error!(service = name.service, watch = name.key, %error, "service discovery update is not usable, the former instances still count");
    }

    fn close_all(&mut self, service: &str, why: AllClosed, reason: CloseReason) {
        self.metrics.count_all_closed(service, why);
        self.start_moving(service, Moving::All(reason));
    }

    /// Starts a move in place of the current one, which has been overtaken by what is known now.
    fn start_moving(&mut self, service: &str, moving: Moving) {
        self.stop_moving();
        if self.shared.wishes.borrow().is_stopping {
            return;
        }
        let rehash = Rehash {
            manager: Arc::clone(&self.manager),
            membership: Arc::clone(&self.membership),
            metrics: self.metrics.clone(),
            service: service.to_owned(),
            rate: self.config.as_ref().map_or(0, |config| config.rate),
            moving,
        };
        self.moving = Some(tokio::spawn(rehash.run()).abort_handle());
    }

    fn stop_moving(&mut self) {
        if let Some(moving) = self.moving.take() {
            moving.abort();
        }
    }

    /// Registers or deregisters this gateway by gate, drains, stop and final errors.
    fn settle_registration(&mut self) {
        let wishes = *self.shared.wishes.borrow();
        if wishes.is_stopping {
            self.stop_moving();
        }
        let withdraws = !self.manager.gate().is_open() || wishes.drains > 0 || wishes.is_stopping;
        if withdraws != self.is_withdrawn {
            self.is_withdrawn = withdraws;
            self.standing.reset();
            if withdraws {
                self.fleet.withdraw();
            } else {
                self.fleet.rejoin();
            }
            self.publish();
        }
        let is_refused = self.watches.values().any(|watch| watch.failure == Some(Finality::Final));
        let Some(backend) = &self.backend else { return };
        let registers = !withdraws && !is_refused;
        backend.registers.send_if_modified(|current| std::mem::replace(current, registers) != registers);
    }

    fn look_at_standing(&mut self) {
        let Some(config) = &self.config else { return };
        // While it is withdrawn it is not to be listed.
        if !self.is_withdrawn {
            self.standing.look(self.fleet.standing(), &config.own, config.refuses_devices);
        }
    }

    fn publish(&self) {
        let refuses_devices = self.config.as_ref().is_some_and(|config| config.refuses_devices);
        self.membership.publish(Arc::clone(self.fleet.view()), refuses_devices);
    }

    fn set_state(&self) {
        let state = if self.config.is_none() {
            State::Off
        } else if self.watches.is_empty() || self.watches.values().any(|watch| !watch.has_answered) {
            State::Connecting
        } else if self.watches.values().any(|watch| watch.failure.is_some()) {
            State::Failing
        } else {
            State::Connected
        };
        self.shared.state.send_if_modified(|current| std::mem::replace(current, state) != state);
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        self.stop_moving();
    }
}

impl Drop for RunningBackend {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits for the next report of the backend; for ever if no backend runs or all its watches have ended.
async fn next_report(backend: &mut Option<RunningBackend>) -> Report {
    if let Some(backend) = backend
        && let Some(report) = backend.reports.recv().await
    {
        return report;
    }
    pending().await
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => pending().await,
    }
}
