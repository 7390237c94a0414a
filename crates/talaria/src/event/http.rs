//! The HTTP sink: posts events to the receivers that the configuration or a `dns:` destination names (contract §5.1).
//!
//! `HttpSink::send` resolves the destination and queues the event for each of its URLs; it never waits. The URLs that the
//! operator configured and those that devices name have a `Lane` each. A fixed number of workers post the queued events
//! of a lane, each over a connection that it drives itself, one or several in a packet. An event that is to be posted again waits in the queue, not in a
//! worker. Each configured receiver has a queue and a share of the workers of its own (`receivers.rs`).
//!
//! Online and offline events have room of their own, and those of one device are posted one after the other
//! (`status_order.rs`).
//!
//! Other events leave the queue in order, but several are posted at the same time. With `order: device`, those of one device go to
//! each receiver one after the other. Start reading at `HttpSink::send`, then `lane.rs` and `worker.rs`.

mod attempt;
mod backlog;
mod batch;
mod breaker;
mod capacity;
mod connection;
mod connections;
pub mod credentials;
mod deadline_timer;
mod device_share;
pub(super) mod dial;
mod dial_window;
pub mod endpoints;
mod exchange;
mod health;
mod job;
mod lane;
mod lane_context;
mod limit;
mod metrics;
mod named_events;
mod pace;
mod pipelining;
mod pool;
mod post_error;
mod queue;
mod receiver;
mod receivers;
mod request_head;
mod retries;
mod retry_policy;
pub(super) mod routes;
mod turns;
mod waiting_devices;
mod watched_files;
mod worker;
mod worker_shares;

#[cfg(test)]
pub(super) mod tests;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use talaria_protocol::url::{Target, UrlError};
use tokio::time::Instant;
use wrp::{Locator, QosLevel};

pub use metrics::HttpMetrics;
pub use post_error::PostError;

use self::backlog::Backlog;
use self::device_share::DeviceShares;
pub use self::dial::ReceiverInstances;
use self::dial::{Addresses, Dial, Network};
use self::endpoints::{Coverage, Endpoints};
use self::exchange::Client;
use self::job::{Job, JobKind};
use self::lane::Lane;
use self::lane_context::{HttpStatusOrder, LaneConfig, Losses};
use self::named_events::NamedEvents;
use self::receivers::Receivers;
use self::routes::Routes;
use self::turns::Turns;
use super::back_pressure::Room;
use super::config::{Config, NamedHosts, QueueLimit};
use super::fair_queue::{Order, Rank};
use super::finalizer::{Finalizer, Share, Sink};
use super::reason::{DropReason, SchemeLabel};
use super::status_order::StatusOrder;
use super::verdict::Verdict;
use crate::device::Device;
use crate::telemetry::keyed_throttle::KeyedThrottle;
use crate::trace::Trace;

/// Posts events to HTTP receivers. Dropping it stops its workers; the events that it still has are lost.
pub struct HttpSink {
    routes: Routes,
    /// For the URLs of `eventEndpoints`.
    endpoints: Lane,
    /// For the URLs that devices name.
    named: Lane,
    /// What each device may have in `named`.
    shares: Arc<DeviceShares>,
    metrics: HttpMetrics,
    /// For refusals of the URLs that are configured.
    refusals: KeyedThrottle,
    /// For refusals of the URLs that devices name.
    refusals_by_device: Arc<KeyedThrottle>,
    /// Where `endpoints` connects if the configuration says so.
    instances: Arc<ReceiverInstances>,
}

/// Where an event comes from. Events that are dropped before they are queued count under different schemes (contract
/// §5.9).
#[derive(Clone, Copy, Debug)]
pub enum EventSource<'a> {
    /// This device sent it.
    Device(&'a Device),
    /// The gateway made it about this device: an online or offline event.
    Gateway(&'a Device),
}

impl HttpSink {
    /// Starts the workers. Needs a tokio runtime.
    pub fn start(config: &Config, metrics: HttpMetrics) -> Self {
        let instances = Arc::<ReceiverInstances>::default();
        let (to_endpoints, to_named) = Self::networks(config, &instances);
        let sink = Self::start_with(config, metrics, to_endpoints, to_named);
        Self { instances, ..sink }
    }

    /// A sink with other settings that takes the place of this one: of each device its online and offline events start after
    /// those that this one has. This one delivers what it has ([`retire`](Self::retire)).
    #[must_use]
    pub fn replaced(&self, config: &Config) -> Self {
        let (to_endpoints, to_named) = Self::networks(config, &self.instances);
        let status = Arc::clone(&self.endpoints.context.status);
        let sink = Self::start_after(config, self.metrics.clone(), status, to_endpoints, to_named);
        Self { instances: Arc::clone(&self.instances), ..sink }
    }

    /// The instances of the receivers, for service discovery to set.
    pub fn instances(&self) -> &Arc<ReceiverInstances> {
        &self.instances
    }

    fn networks(config: &Config, instances: &Arc<ReceiverInstances>) -> (Arc<dyn Dial>, Arc<dyn Dial>) {
        let addresses = match config.dns.hosts {
            NamedHosts::None | NamedHosts::Public => Addresses::Public,
            // The operator has allowed these hosts, wherever they are.
            NamedHosts::Any | NamedHosts::Listed(_) => Addresses::All,
        };
        let named = Network::new(addresses, &config.dns.transport, &[]);
        let mut endpoints = Network::new(Addresses::All, &config.transport, &config.credentials);
        if config.by_instances {
            endpoints = endpoints.with_instances(Arc::clone(instances));
        }
        (Arc::new(endpoints), Arc::new(named))
    }

    /// `to_endpoints` connects to the URLs of `eventEndpoints`, `to_named` to those that devices name.
    pub(super) fn start_with(
        config: &Config,
        metrics: HttpMetrics,
        to_endpoints: Arc<dyn Dial>,
        to_named: Arc<dyn Dial>,
    ) -> Self {
        let status = Arc::new(StatusOrder::new(config.status_queue));
        Self::start_after(config, metrics, status, to_endpoints, to_named)
    }

    fn start_after(
        config: &Config,
        metrics: HttpMetrics,
        status: Arc<HttpStatusOrder>,
        to_endpoints: Arc<dyn Dial>,
        to_named: Arc<dyn Dial>,
    ) -> Self {
        warn_of_unusable_endpoints(config);
        announce(&config.endpoints);
        let endpoints = LaneConfig {
            workers: config.workers,
            request_timeout: config.request_timeout,
            client_timeout: config.client_timeout,
            order: config.order,
        };
        let named = LaneConfig {
            workers: config.dns.workers,
            request_timeout: config.dns.request_timeout,
            client_timeout: config.dns.request_timeout,
            // A host that hangs would hold back all events of its device.
            order: Order::None,
        };
        let targets = config.endpoints.iter().filter_map(|(_, target)| target.as_ref().ok());
        let fairness = config.fairness();
        let receivers =
            Receivers::new(targets, config.queue, config.workers, &fairness, config.pipeline, &metrics);
        let turns = Turns::new(config.dns.max_requests_per_device, config.dns.max_requests_per_host);
        let refusals_by_device = Arc::new(KeyedThrottle::new());
        Self {
            routes: Routes::new(config),
            endpoints: Lane::start(
                endpoints,
                config.retry.clone(),
                Backlog::ByReceiver(receivers),
                status,
                Client::for_endpoints(config, to_endpoints),
                metrics.clone(),
                Losses::ByUrl(KeyedThrottle::new()),
            ),
            named: Lane::start(
                named,
                config.retry.for_named_hosts(),
                Backlog::Named(NamedEvents::new(turns, config.dns.queue)),
                Arc::new(StatusOrder::new(config.status_queue)),
                Client::for_named_hosts(config, to_named),
                metrics.clone(),
                Losses::ByDevice(Arc::clone(&refusals_by_device)),
            ),
            shares: DeviceShares::new(config.dns.share),
            metrics,
            refusals: KeyedThrottle::new(),
            refusals_by_device,
            instances: Arc::default(),
        }
    }

    /// Queues a message for every URL of its destination. Never waits; without room the message is dropped, counted, and its
    /// finalizer informed. `body` is called at most once, and only if there is something to post.
    ///
    /// `level` decides what gives way if there is no room (contract §15.2). `dest` is the parsed destination; none if it is
    /// malformed. Returns whether there is room for more.
    pub(crate) fn send(
        &self,
        source: EventSource<'_>,
        level: QosLevel,
        dest: Option<&Locator<'_>>,
        body: impl FnOnce() -> Bytes,
        finalizer: Option<&Finalizer>,
        trace: Option<&Trace>,
    ) -> Room {
        let route = match dest.ok_or(DropReason::Unknown).and_then(|dest| self.routes.resolve(dest)) {
            Ok(route) => route,
            Err(reason) => {
                self.refuse(source, reason, finalizer);
                return Room::Unused;
            }
        };
        let lane = if route.scheme == SchemeLabel::Dns { &self.named } else { &self.endpoints };
        let deadline = Instant::now() + lane.context.config.request_timeout;
        let mut body = Body::Pending(body);
        let mut first_drop = None;
        let rank = Rank { level, owner: source.device().owner() };
        for url in &*route.urls {
            let share = finalizer.map(|finalizer| finalizer.share(Sink::Http));
            let queued = match url {
                Ok(target) => {
                    let (scheme, body) = (route.scheme, body.get());
                    let target = Arc::clone(target);
                    let kind = JobKind::Event;
                    let trace = trace.cloned();
                    self.queue(
                        source,
                        Job { target, body, scheme, kind, rank, deadline, attempts: 0, share, trace },
                    )
                }
                Err(UrlError) => Err((DropReason::MalformedRequest, share)),
            };
            if let Err((reason, share)) = queued {
                self.drop_unqueued(source, route.scheme, url.as_ref().ok(), reason, share);
                first_drop = first_drop.or(Some(reason));
            }
        }
        match first_drop {
            None => self.metrics.event_queued(route.scheme),
            Some(reason) => self.metrics.event_dropped(source.scheme(), reason),
        }
        if lane.context.queue.is_nearly_full() { Room::Scarce } else { Room::Free }
    }

    /// Lets a device wait before its next message if there is little room for messages to this destination, at each of its URLs.
    pub fn wait_for_room(&self, device: &Arc<Device>, dest: Option<&Locator<'_>>) {
        if let Some(Ok(route)) = dest.map(|dest| self.routes.resolve(dest)) {
            let targets = route.urls.iter().filter_map(|url| url.as_ref().ok());
            self.endpoints.context.queue.wait_for_room(targets, device);
        }
    }

    /// Drops a message without looking at its destination, for instance an answer that no request waits for.
    pub fn refuse(&self, source: EventSource<'_>, reason: DropReason, finalizer: Option<&Finalizer>) {
        self.metrics.event_dropped(source.scheme(), reason);
        let share = finalizer.map(|finalizer| finalizer.share(Sink::Http));
        self.drop_unqueued(source, SchemeLabel::Unknown, None, reason, share);
    }

    /// Whether there is room for further online and offline events.
    pub fn has_status_room(&self) -> bool {
        self.endpoints.has_status_room()
    }

    /// Waits for room for further online and offline events, at most until `deadline`.
    pub async fn status_room(&self, deadline: Instant) {
        self.endpoints.status_room(deadline).await;
    }

    /// How many events were lost since the start, one for each URL: not accepted by their receiver, or refused by a queue.
    pub fn lost(&self) -> u64 {
        self.metrics.lost.load(Ordering::Relaxed)
    }

    /// The gateway stops, and is done at `deadline`: what waits for another attempt gets it now.
    pub fn begin_stop(&self, deadline: Instant) {
        self.endpoints.begin_stop(deadline);
        self.named.begin_stop(deadline);
    }

    /// Waits until all events are posted or lost, at most until `deadline`, then stops: what is left is lost.
    pub async fn flush(&self, deadline: Instant) {
        tokio::join!(self.endpoints.flush(deadline), self.named.flush(deadline));
    }

    /// Waits until the events that it has are posted or lost, at most until `deadline`, then stops. Another sink has taken its
    /// place.
    pub async fn retire(&self, deadline: Instant) {
        tokio::join!(self.endpoints.retire(deadline), self.named.retire(deadline));
    }

    /// Another room for online and offline events.
    pub fn set_status_limit(&self, limit: QueueLimit) {
        self.endpoints.context.status.set_limit(limit);
    }

    fn queue(&self, source: EventSource<'_>, mut job: Job) -> Result<(), (DropReason, Option<Share>)> {
        match source {
            EventSource::Gateway(device) => {
                job.kind = JobKind::Status { _turn: None };
                let lane = &self.endpoints;
                lane.push_status(device.id(), job).map_err(|job| (lane.drop_reason(), job.share))
            }
            EventSource::Device(device) if job.scheme == SchemeLabel::Dns => {
                let Some(slot) = self.shares.take(device.id(), job.body.len()) else {
                    return Err((DropReason::FullQueue, job.share));
                };
                job.kind = JobKind::Named(Box::new(slot));
                self.named.push(job)
            }
            EventSource::Device(_) => self.endpoints.push(job),
        }
    }

    fn drop_unqueued(
        &self,
        source: EventSource<'_>,
        route: SchemeLabel,
        url: Option<&Arc<Target>>,
        reason: DropReason,
        share: Option<Share>,
    ) {
        self.metrics.message_dropped(source.scheme(), None, reason);
        if matches!(reason, DropReason::FullQueue | DropReason::Cancelled) {
            self.metrics.lost.fetch_add(1, Ordering::Relaxed);
        }
        if let Some(share) = share {
            share.finish(Verdict::from(reason));
        }
        match source {
            // Said once, at the start.
            _ if reason == DropReason::NoEndpoint => {}
            EventSource::Device(device) if route == SchemeLabel::Dns || reason.is_of_named_host() => {
                let device = device.id();
                if let Some(similar) = self.refusals_by_device.admit(device.as_str()) {
                    tracing::error!(%device, %reason, similar, "event for a host that the device names not queued");
                }
            }
            _ => {
                if let Some(similar) = self.refusals.admit(url.map_or("", |url| url.url())) {
                    let url = url.map(tracing::field::display);
                    tracing::error!(url, %reason, similar, "event not queued for http");
                }
            }
        }
    }
}

impl EventSource<'_> {
    const fn device(&self) -> &Device {
        match self {
            Self::Device(device) | Self::Gateway(device) => device,
        }
    }

    /// The scheme under which events count that are dropped before they are queued.
    const fn scheme(self) -> SchemeLabel {
        match self {
            Self::Device(_) => SchemeLabel::Unknown,
            Self::Gateway(_) => SchemeLabel::Event,
        }
    }
}

/// A body that is encoded when it is first needed.
enum Body<F> {
    /// Not encoded yet.
    Pending(F),
    Encoded(Bytes),
    /// The encoder is running, which ends before anything can see this.
    Encoding,
}

impl<F: FnOnce() -> Bytes> Body<F> {
    fn get(&mut self) -> Bytes {
        let body = match std::mem::replace(self, Self::Encoding) {
            Self::Pending(encode) => encode(),
            Self::Encoded(body) => body,
            Self::Encoding => Bytes::new(),
        };
        *self = Self::Encoded(body.clone());
        body
    }
}

fn warn_of_unusable_endpoints(config: &Config) {
    for (event_type, url) in config.endpoints.iter() {
        match url.as_ref().map(|target| (target, target.address())) {
            Ok((_, Ok(_))) => {}
            Ok((url, Err(problem))) => {
                tracing::warn!(event_type, %url, %problem, "event endpoint with an unusable url, events for it will be dropped");
            }
            Err(problem) => {
                tracing::warn!(event_type, %problem, "event endpoint is not a url, events for it will be dropped");
            }
        }
    }
}

/// Says which events have no endpoint, which is no mistake where Kafka takes them.
fn announce(endpoints: &Endpoints) {
    match endpoints.coverage() {
        Coverage::All => {}
        Coverage::Some => tracing::info!(
            "no default event endpoint, events of other types than those with an endpoint are not sent by http"
        ),
        Coverage::None => tracing::info!("no event endpoint, events are not sent by http"),
    }
}
