//! A connected device as the rest of the gateway sees it.

use std::fmt;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};

use bytes::Bytes;
use talaria_protocol::claims::Claims;
use talaria_protocol::connect::{Identity, SessionId};
use talaria_protocol::convey::Convey;
use talaria_protocol::inbound::{ACCOUNT_ID, HARDWARE_DEVICE_ID, TRUST};
use talaria_protocol::session::CloseReason;
use tokio::time::Instant;
use wrp::{DeviceId, Text, TextBuf};

use super::back_pressure::RoomWait;
use super::outbox::{Outbox, Signal};
use super::owner::Owner;
use super::transactions::Transactions;
use super::wheel::Vitals;
use super::{Config, SendError, Statistics};
use crate::budget::{Budget, Holder, Store};
use crate::event::device_state::DeviceState;

/// The partner of a device whose token has none.
pub(crate) const UNKNOWN_PARTNER: &str = "unknown";

/// A connected device for everything except its session. It owns no socket, and may be used after its connection has ended.
pub struct Device {
    id: DeviceId,
    session_id: SessionId,
    trust: Trust,
    claims: Option<Claims>,
    convey: Convey,
    intermediate_context: TextBuf,
    statistics: Statistics,
    outbox: Outbox,
    transactions: Transactions,
    vitals: Vitals,
    owner: Owner,
    room: RoomWait,
    sinks: DeviceState,
    /// Which warnings about this device have been logged, one bit each ([`Warned`]).
    warned: AtomicU8,
    /// Whether a newcomer with this id waits for this device's answer.
    is_contested: AtomicBool,
    /// Whether its session has ended and has yet to be disconnected.
    is_leaving: AtomicBool,
    /// Whether its offline event has been made.
    is_offline: AtomicBool,
}

/// The trust claim, as a number and as events carry it.
struct Trust {
    value: i64,
    /// `i64::MIN` is the longest.
    text: [u8; 20],
    length: u8,
}

/// A warning that is logged once for a device instead of for every message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Warned {
    /// It sends messages that are rejected.
    Refused = 1,
    /// It sends text frames.
    Text = 2,
    /// It sends answers that no request waits for.
    Unmatched = 4,
}

impl Device {
    /// A device that connects now, whose outbox is not counted with those of other devices.
    #[must_use]
    pub fn new(identity: Identity, config: &Config) -> Arc<Self> {
        Self::within(identity, config, None)
    }

    /// A device that connects now, whose outbox takes its part of this budget.
    pub(super) fn within(identity: Identity, config: &Config, budget: Option<Arc<Budget>>) -> Arc<Self> {
        let trust = identity.claims.as_ref().map_or(0, Claims::trust);
        let partner = identity.claims.as_ref().and_then(Claims::partner_id).unwrap_or(UNKNOWN_PARTNER);
        let owner = Owner::new(identity.id.as_str(), partner);
        Arc::new(Self {
            owner,
            room: RoomWait::default(),
            id: identity.id,
            session_id: identity.session_id,
            trust: Trust::new(trust),
            claims: identity.claims,
            convey: identity.convey,
            intermediate_context: identity.intermediate_context,
            statistics: Statistics::new(),
            outbox: Outbox::new(config.outbox, budget),
            transactions: Transactions::new(),
            vitals: Vitals::default(),
            sinks: DeviceState::default(),
            warned: AtomicU8::new(0),
            is_contested: AtomicBool::new(false),
            is_leaving: AtomicBool::new(false),
            is_offline: AtomicBool::new(false),
        })
    }

    /// The id that it is registered with and addressed by.
    #[must_use]
    pub fn id(&self) -> &DeviceId {
        &self.id
    }

    /// The id of this connection: a KSUID.
    #[must_use]
    pub fn session_id(&self) -> &str {
        self.session_id.as_str()
    }

    /// The claim `partner-id`; `unknown` if there is none, empty if it is empty.
    #[must_use]
    pub fn partner_id(&self) -> &str {
        self.claims().and_then(Claims::partner_id).unwrap_or(UNKNOWN_PARTNER)
    }

    /// Whose its events are, for queues in which devices and partners have shares.
    pub(crate) fn owner(&self) -> Owner {
        self.owner
    }

    /// The claim `trust`, as an integer; 0 if there is none.
    #[must_use]
    pub fn trust(&self) -> i64 {
        self.trust.value
    }

    /// [`Self::trust`], as events carry it.
    pub(crate) fn trust_text(&self) -> &str {
        self.trust.as_str()
    }

    /// The claim `accountID`, or empty.
    #[must_use]
    pub fn account_id(&self) -> &str {
        self.claims().and_then(Claims::account_id).unwrap_or_default()
    }

    /// The claims of its token; none if it connected without one.
    #[must_use]
    pub fn claims(&self) -> Option<&Claims> {
        self.claims.as_ref()
    }

    /// Its convey: the description of itself that it sent when it connected.
    #[must_use]
    pub fn convey(&self) -> &Convey {
        &self.convey
    }

    /// The metadata of its online and offline events (contract §4.2), without `/xmidt-timestamp`. Values from the convey are
    /// as the device sent them and need not be UTF-8.
    pub fn event_metadata(&self) -> impl Iterator<Item = (&'static str, Text<'_>)> {
        let own = [
            (TRUST, Text::from(self.trust.as_str())),
            (ACCOUNT_ID, Text::from(self.account_id())),
            (HARDWARE_DEVICE_ID, Text::from(self.id.as_str())),
            ("/intermediate-context", self.intermediate_context.as_text()),
            ("/compliance", Text::from(self.convey.compliance().as_str())),
        ];
        self.convey.metadata().chain(own)
    }

    /// Whether it waits until there is room for its messages.
    pub(crate) fn room(&self) -> &RoomWait {
        &self.room
    }

    /// There is room for its messages again.
    pub(crate) fn room_is_free(&self) {
        if self.room.end() {
            self.outbox.wake_session();
        }
    }

    /// What the sinks keep of it.
    pub(crate) fn sinks(&self) -> &DeviceState {
        &self.sinks
    }

    /// The counts of its messages.
    #[must_use]
    pub fn statistics(&self) -> &Statistics {
        &self.statistics
    }

    /// How many messages wait to be written to it (`pending` in the API).
    #[must_use]
    pub fn pending(&self) -> usize {
        self.outbox.len()
    }

    /// Queues a message, for tests.
    #[cfg(test)]
    pub(crate) fn try_send(self: &Arc<Self>, frame: Bytes) -> Result<(), SendError> {
        self.outbox.try_send(self, frame)
    }

    /// Sends a WRP message (v3 msgpack): waits for room in the queue, and until it is written to the socket.
    ///
    /// # Errors
    /// [`SendError::Timeout`] at the deadline, [`SendError::Closed`] if the connection ends first, [`SendError::Busy`] if the
    /// queues of all devices together are full.
    pub async fn send(self: &Arc<Self>, frame: Bytes, deadline: Instant) -> Result<(), SendError> {
        self.outbox.send(self, frame, deadline).await
    }

    /// Sends a request and waits for the device's message of the same transaction_uuid. The answer is that message with
    /// the gateway's stamps (contract §2.13), v3 msgpack.
    ///
    /// # Errors
    /// As [`send`](Device::send), and if the uuid is empty or in use, or the connection ends before the answer.
    pub async fn request(
        self: &Arc<Self>,
        uuid: &str,
        frame: Bytes,
        deadline: Instant,
    ) -> Result<Bytes, SendError> {
        let pending = self.transactions.register(uuid)?;
        let mut answer = std::pin::pin!(pending.answer(deadline));
        tokio::select! {
            biased;
            // This ends with the session even while the write of the request is stuck.
            early = &mut answer => return early,
            sent = self.outbox.send(self, frame, deadline) => sent?,
        }
        answer.await
    }

    /// Ends the connection. Of several reasons the first one counts; returns whether this was the first.
    pub fn close(&self, reason: CloseReason) -> bool {
        self.outbox.close(reason)
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(super) fn transactions(&self) -> &Transactions {
        &self.transactions
    }

    pub(super) fn vitals(&self) -> &Vitals {
        &self.vitals
    }

    /// Whether a connection without a token may not displace this one: it has a token, and it has not been found dead
    /// (contract §14.26).
    pub(super) fn is_protected(&self) -> bool {
        self.claims.is_some() && !self.outbox.is_closed() && !self.vitals.is_given_up()
    }

    /// Makes the caller the only one that waits for this device's answer; `false` if another one does.
    pub(super) fn begin_takeover(&self) -> bool {
        !self.is_contested.swap(true, Ordering::AcqRel)
    }

    pub(super) fn end_takeover(&self) {
        self.is_contested.store(false, Ordering::Release);
    }

    /// Its session has ended, and waits for its turn to be disconnected.
    pub(super) fn leave(&self) {
        self.is_leaving.store(true, Ordering::Release);
    }

    /// Whether its session has ended, so that it can only be replaced.
    pub(super) fn is_leaving(&self) -> bool {
        self.is_leaving.load(Ordering::Acquire)
    }

    /// Whether its offline event is to be made now: once.
    pub(super) fn go_offline(&self) -> bool {
        !self.is_offline.swap(true, Ordering::AcqRel)
    }

    /// Whether this warning has not been logged about this device before. From now on it has.
    pub(super) fn is_first(&self, warning: Warned) -> bool {
        self.warned.fetch_or(warning as u8, Ordering::Relaxed) & warning as u8 == 0
    }
}

impl Holder for Device {
    fn may_go(&self, store: Store) -> bool {
        match store {
            Store::Unfinished => true,
            Store::Queued => self.vitals.has_stuck_write(),
            // Whether its messages are delivered is not in the device's power.
            Store::Unacknowledged => false,
            // Those of services are not the devices'.
            Store::Bodies => false,
        }
    }

    fn go(&self, store: Store) {
        let signal = match store {
            Store::Unfinished => Signal::UnfinishedTooMuch,
            Store::Queued => Signal::UnreadTooMuch,
            Store::Unacknowledged | Store::Bodies => return,
        };
        self.outbox.signal(signal);
    }
}

impl fmt::Debug for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("id", &self.id)
            .field("session_id", &self.session_id)
            .finish_non_exhaustive()
    }
}

impl Trust {
    fn new(value: i64) -> Self {
        let mut text = [0; 20];
        let mut rest = &mut text[..];
        // Every i64 fits.
        let _ = write!(rest, "{value}");
        let length = 20 - rest.len();
        Self { value, text, length: length as u8 }
    }

    fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text[..usize::from(self.length)]).unwrap_or_default()
    }
}
