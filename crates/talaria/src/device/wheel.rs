//! The timing wheel: pings and deadlines of all devices, turned by one task.

use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use talaria_protocol::token;
use tokio::time::{Instant, MissedTickBehavior};

use super::outbox::Signal;
use super::{Config, Device};

/// The precision of pings and deadlines.
pub(super) const TICK: Duration = Duration::from_millis(100);
/// One turn takes 102.4 s. An entry that is due later waits in the last slot and is scheduled again from there.
const SLOTS: u32 = 1024;
/// How many silent devices are closed in one tick. Their offline events are counted as taking room only when they are made.
const SILENT_PER_TICK: u32 = 500;
/// The time between two lines about newcomers with one device's id.
const TAKEOVER_LINE_PERIOD: Duration = Duration::from_secs(60);
/// How long a device may take to answer the closing handshake.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The pings and deadlines of all devices.
///
/// Each device has one entry, at its next ping or its idle deadline. When a message arrives, only the tick is stored and no
/// entry moves. An entry does not keep its device alive.
#[derive(Debug)]
pub struct Wheel {
    started: Instant,
    /// The current tick.
    now: AtomicU32,
    slots: Box<[Mutex<Vec<Entry>>]>,
    periods: ArcSwap<Periods>,
    /// How many silent devices may still be closed in this tick.
    silent_left: AtomicU32,
}

/// The configured periods and deadlines, in ticks.
#[derive(Clone, Copy, Debug)]
struct Periods {
    ping: u32,
    idle: u32,
    write: u32,
    /// How long after the `exp` of its token a device is closed; never if none.
    close_expired: Option<Duration>,
    message: u32,
}

/// What the wheel keeps of one device, in ticks since the wheel started.
#[derive(Debug, Default)]
pub(super) struct Vitals {
    last_heard: AtomicU32,
    next_ping: AtomicU32,
    /// When the device's token expires; 0 if that has no consequence.
    expires: AtomicU32,
    /// A write that got stuck.
    write: Watch,
    /// A message that has not arrived completely.
    message: Watch,
    /// The tick in which the device was pinged for a newcomer, without an answer in time; 0 if that never happened.
    given_up: AtomicU32,
    /// When a newcomer's fate was logged last; 0 if never.
    takeover_logged: AtomicU32,
}

/// Something of a device that must end in time.
#[derive(Debug, Default)]
struct Watch {
    /// When it began; 0 if there is none.
    since: AtomicU32,
    /// Whether the wheel has an entry for it. One is enough, however often a slow device causes it.
    has_entry: AtomicBool,
}

/// What a watch is to do when its entry is due.
enum Due {
    /// Nothing: it has ended.
    Nothing,
    /// It has taken too long.
    Late,
    /// It has so many ticks left.
    Early(u32),
}

#[derive(Debug)]
struct Entry {
    device: Weak<Device>,
    kind: Kind,
}

/// What an entry is for.
#[derive(Clone, Copy, Debug)]
enum Kind {
    /// The next ping or the idle deadline.
    Liveness,
    /// The deadline of a write.
    Write,
    /// The deadline of a message.
    Message,
    /// The end of the closing handshake.
    Close,
}

impl Periods {
    fn of(config: &Config) -> Self {
        Self {
            ping: ticks(config.ping_period),
            idle: ticks(config.idle_period),
            write: ticks(config.write_timeout),
            close_expired: config.close_expired,
            message: ticks(config.message_timeout),
        }
    }
}

impl Wheel {
    /// A wheel whose first tick is now. It turns only while [`run`](Self::run) is polled.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            started: Instant::now(),
            // In `Vitals`, 0 means "never".
            now: AtomicU32::new(1),
            slots: (0..SLOTS).map(|_| Mutex::default()).collect(),
            periods: ArcSwap::from_pointee(Periods::of(config)),
            silent_left: AtomicU32::new(SILENT_PER_TICK),
        }
    }

    /// Other periods, each from its next beginning on.
    pub(super) fn set_periods(&self, config: &Config) {
        self.periods.store(Arc::new(Periods::of(config)));
    }

    /// Turns the wheel for ever. Devices that have gone silent are closed only while there is room for their offline events.
    pub async fn run(&self, has_room: impl Fn() -> bool) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            self.silent_left.store(if has_room() { SILENT_PER_TICK } else { 0 }, Relaxed);
            self.turn_to(Instant::now());
        }
    }

    /// Sends the signals of all entries that are due at `moment`.
    pub fn turn_to(&self, moment: Instant) {
        let elapsed = moment.saturating_duration_since(self.started).as_millis() / TICK.as_millis();
        let target = u32::try_from(elapsed + 1).unwrap_or(u32::MAX);
        let mut now = self.now.load(Relaxed);
        while now < target {
            now += 1;
            self.now.store(now, Relaxed);
            let due = std::mem::take(&mut *self.slot(now).lock());
            for entry in due {
                self.check(entry, now);
            }
        }
    }

    /// Adds a device that has just connected. Its first ping is due after one period.
    pub(super) fn add(&self, device: &Arc<Device>) {
        let (now, periods) = (self.now.load(Relaxed), self.periods.load());
        device.vitals().last_heard.store(now, Relaxed);
        device.vitals().next_ping.store(now + periods.ping, Relaxed);
        let expires_after = self.expires_after(device);
        if let Some(after) = expires_after {
            device.vitals().expires.store(now.saturating_add(after), Relaxed);
        }
        let first = periods.ping.min(periods.idle).min(expires_after.unwrap_or(u32::MAX));
        self.schedule(Arc::downgrade(device), Kind::Liveness, first);
    }

    /// A pong or a message came from the device.
    pub(super) fn heard(&self, device: &Device) {
        device.vitals().last_heard.store(self.now.load(Relaxed), Relaxed);
    }

    /// The device is not read for so long, so it counts as heard until then.
    pub(super) fn heard_until(&self, device: &Device, pause: Duration) {
        let until = self.now.load(Relaxed).saturating_add(ticks(pause));
        device.vitals().last_heard.store(until, Relaxed);
    }

    /// The current tick.
    pub(super) fn now(&self) -> u32 {
        self.now.load(Relaxed)
    }

    /// Whether a line about newcomers with this device's id may be logged now: one a minute.
    pub(super) fn admits_takeover_line(&self, device: &Device) -> bool {
        let (now, logged) = (self.now.load(Relaxed), &device.vitals().takeover_logged);
        let last = logged.load(Relaxed);
        (last == 0 || now.saturating_sub(last) >= ticks(TAKEOVER_LINE_PERIOD))
            && logged.compare_exchange(last, now, Relaxed, Relaxed).is_ok()
    }

    /// A write to the device got stuck.
    pub(super) fn stalled(&self, device: &Arc<Device>) {
        if device.vitals().write.begin(self.now.load(Relaxed)) {
            self.schedule(Arc::downgrade(device), Kind::Write, self.periods.load().write);
        }
    }

    /// The write that was stuck has been finished.
    pub(super) fn flowing(&self, device: &Device) {
        device.vitals().write.end();
    }

    /// A message of the device has begun to arrive and is not complete.
    pub(super) fn message_begun(&self, device: &Arc<Device>) {
        if device.vitals().message.begin(self.now.load(Relaxed)) {
            self.schedule(Arc::downgrade(device), Kind::Message, self.periods.load().message);
        }
    }

    /// The message that had begun is complete.
    pub(super) fn message_complete(&self, device: &Device) {
        device.vitals().message.end();
    }

    /// The device has been sent a close frame.
    pub(super) fn linger(&self, device: &Arc<Device>) {
        self.schedule(Arc::downgrade(device), Kind::Close, ticks(CLOSE_TIMEOUT));
    }

    fn check(&self, entry: Entry, now: u32) {
        let Some(device) = entry.device.upgrade() else { return };
        let vitals = device.vitals();
        match entry.kind {
            Kind::Close => device.outbox().signal(Signal::Lingered),
            Kind::Write | Kind::Message => {
                let (watch, limit, signal) = match entry.kind {
                    Kind::Message => (&vitals.message, self.periods.load().message, Signal::SlowMessage),
                    _ => (&vitals.write, self.periods.load().write, Signal::Stalled),
                };
                match watch.check(now, limit) {
                    Due::Nothing => {}
                    Due::Late => device.outbox().signal(signal),
                    Due::Early(left) => self.schedule(entry.device, entry.kind, left),
                }
            }
            Kind::Liveness => {
                if device.outbox().is_closed() {
                    return;
                }
                let dies = vitals.last_heard.load(Relaxed).saturating_add(self.periods.load().idle);
                if now >= dies {
                    return if self.may_close_silent() {
                        device.outbox().signal(Signal::Idle);
                    } else {
                        self.schedule(entry.device, Kind::Liveness, 1);
                    };
                }
                let expires = vitals.expires();
                if now >= expires {
                    return device.outbox().signal(Signal::Expired);
                }
                let mut next_ping = vitals.next_ping.load(Relaxed);
                if now >= next_ping {
                    device.outbox().signal(Signal::Ping);
                    next_ping = now + self.periods.load().ping;
                    vitals.next_ping.store(next_ping, Relaxed);
                }
                self.schedule(entry.device, Kind::Liveness, next_ping.min(dies).min(expires) - now);
            }
        }
    }

    /// Whether one more silent device may be closed in this tick. A network that is gone silences a whole site at once.
    fn may_close_silent(&self) -> bool {
        self.silent_left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// How many ticks the device's token is still valid; none if that has no consequence.
    #[expect(
        clippy::disallowed_methods,
        reason = "a token expires by the time of day; the wheel asks once for each device"
    )]
    fn expires_after(&self, device: &Device) -> Option<u32> {
        let leeway = self.periods.load().close_expired?;
        let expires_at = token::expires_at(&device.claims()?.all(), leeway)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let left = Duration::from_secs(u64::try_from(expires_at).unwrap_or_default()).saturating_sub(now);
        Some(ticks(left))
    }

    fn schedule(&self, device: Weak<Device>, kind: Kind, after: u32) {
        // The slot of the current tick has been emptied, or is being emptied.
        let after = after.clamp(1, SLOTS - 1);
        let at = self.now.load(Relaxed) + after;
        self.slot(at).lock().push(Entry { device, kind });
    }

    fn slot(&self, tick: u32) -> &Mutex<Vec<Entry>> {
        &self.slots[(tick % SLOTS) as usize]
    }
}

impl Watch {
    /// It begins now. Returns whether it needs an entry in the wheel.
    fn begin(&self, now: u32) -> bool {
        self.since.store(now, SeqCst);
        !self.has_entry.swap(true, SeqCst)
    }

    fn end(&self) {
        self.since.store(0, Relaxed);
    }

    fn is_running(&self) -> bool {
        self.since.load(Relaxed) > 0
    }

    fn check(&self, now: u32, limit: u32) -> Due {
        // In this order, so that what begins right now is either seen here or gets an entry; the swap below decides if both
        // would.
        self.has_entry.store(false, SeqCst);
        let since = self.since.load(SeqCst);
        let waited = now.saturating_sub(since);
        if since == 0 {
            Due::Nothing
        } else if waited >= limit {
            Due::Late
        } else if self.has_entry.swap(true, SeqCst) {
            Due::Nothing
        } else {
            Due::Early(limit - waited)
        }
    }
}

impl Vitals {
    /// The tick in which the device's token expires; the last of all if that has no consequence.
    fn expires(&self) -> u32 {
        match self.expires.load(Relaxed) {
            0 => u32::MAX,
            expires => expires,
        }
    }

    /// Whether a write to the device is stuck: the device does not read, or slowly.
    pub(super) fn has_stuck_write(&self) -> bool {
        self.write.is_running()
    }

    /// Whether a message of the device has not arrived completely.
    pub(super) fn has_unfinished_message(&self) -> bool {
        self.message.is_running()
    }

    /// Whether the device was heard after this tick.
    pub(super) fn is_heard_after(&self, tick: u32) -> bool {
        self.last_heard.load(Relaxed) > tick
    }

    /// The device, pinged in this tick, did not answer in time.
    pub(super) fn give_up(&self, pinged: u32) {
        self.given_up.store(pinged, Relaxed);
    }

    /// Whether the device was given up and has not been heard since.
    pub(super) fn is_given_up(&self) -> bool {
        let pinged = self.given_up.load(Relaxed);
        pinged > 0 && !self.is_heard_after(pinged)
    }
}

/// A period in ticks; the shortest is one.
fn ticks(period: Duration) -> u32 {
    u32::try_from(period.as_millis().div_ceil(TICK.as_millis()))
        .unwrap_or(u32::MAX / 4)
        .clamp(1, u32::MAX / 4)
}
