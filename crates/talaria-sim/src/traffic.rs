//! The events that devices send: their content, their length, their QoS and their rate.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};
use wrp::{MessageRef, MessageType, Qos};

use crate::fleet::{Fleet, SendError};
use crate::ledger::{DeliveryClass, Ledger};
use crate::run::Key;

/// The start of each event's dest; the id of the device follows.
const DEST: &str = "event:telemetry/";

/// The interval at which [`Traffic::run`] sends the events that are due.
const TICK: Duration = Duration::from_millis(5);

/// The QoS of a sequence of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QosMix {
    /// The same value for all events.
    Fixed(i64),
    /// One value of each level in turn: 10, 30, 60, 80.
    Mixed,
}

/// The text is neither a QoS nor `mix`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is neither a QoS (0 to 99) nor `mix`")]
pub struct QosMixError(String);

impl QosMix {
    /// The QoS of event number `n`, from 0.
    #[must_use]
    pub fn nth(self, n: u64) -> Qos {
        match self {
            Self::Fixed(qos) => Qos(qos),
            Self::Mixed => Qos([10, 30, 60, 80][(n % 4) as usize]),
        }
    }
}

impl FromStr for QosMix {
    type Err = QosMixError;

    fn from_str(text: &str) -> Result<Self, QosMixError> {
        match (text, text.parse()) {
            ("mix", _) => Ok(Self::Mixed),
            (_, Ok(qos @ 0..=99)) => Ok(Self::Fixed(qos)),
            _ => Err(QosMixError(text.to_owned())),
        }
    }
}

impl fmt::Display for QosMix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(qos) => qos.fmt(f),
            Self::Mixed => f.write_str("mix"),
        }
    }
}

/// The delivery class of a message with this QoS.
#[must_use]
pub fn delivery_class(qos: Qos) -> DeliveryClass {
    if qos.wants_ack() { DeliveryClass::Assured } else { DeliveryClass::BestEffort }
}

/// Encodes events of a given length. Its buffers are reused for each event.
#[derive(Debug)]
pub struct EventWriter {
    payload: Vec<u8>,
    source: String,
    dest: String,
    key: String,
}

impl EventWriter {
    /// A writer of events of `size` bytes in v3 msgpack. If the other fields alone are longer, events have no payload.
    #[must_use]
    pub fn new(size: usize) -> Self {
        let mut writer =
            Self { payload: vec![], source: String::new(), dest: String::new(), key: String::new() };
        let sample = crate::run::RunId::new(0);
        let id = sample.device_id(0);
        let mut fill = 0;
        // The length prefix grows with the payload, so the right length is approached in steps.
        for _ in 0..3 {
            let mut out = vec![];
            writer.payload = filler(fill);
            writer.write(&id, sample.key(0), Qos(50), &mut out);
            fill = (fill + size).saturating_sub(out.len());
        }
        writer.payload = filler(fill);
        writer
    }

    /// Appends the event with this key, from the device with this id.
    pub fn write(&mut self, id: &str, key: Key, qos: Qos, out: &mut Vec<u8>) {
        rewrite(&mut self.source, format_args!("{id}/talaria-sim"));
        rewrite(&mut self.dest, format_args!("{DEST}{id}"));
        rewrite(&mut self.key, format_args!("{key}"));
        let mut event = MessageRef {
            msg_type: MessageType::SIMPLE_EVENT,
            source: self.source.as_str().into(),
            dest: self.dest.as_str().into(),
            transaction_uuid: self.key.as_str().into(),
            content_type: "application/json".into(),
            payload: Some(&self.payload),
            qos,
            ..MessageRef::default()
        };
        event.set_metadata("/hw-model", "SIM-1");
        event.set_metadata("/fw-name", "sim_1.0.0");
        event.encode_v3(out);
    }
}

/// Sends events from the devices of a fleet, one device after the other.
#[derive(Debug)]
pub struct Traffic {
    fleet: Arc<Fleet>,
    ledger: Arc<Ledger>,
    writer: EventWriter,
    qos: QosMix,
    /// Events sent so far.
    count: u64,
    next_device: usize,
}

impl Traffic {
    /// Events of this length in bytes and this QoS, which are entered into `ledger`.
    #[must_use]
    pub fn new(fleet: Arc<Fleet>, ledger: Arc<Ledger>, size: usize, qos: QosMix) -> Self {
        Self { fleet, ledger, writer: EventWriter::new(size), qos, count: 0, next_device: 0 }
    }

    /// Sends one event from the next device that is able to.
    ///
    /// # Errors
    /// If no device is able to, with the error of the last that tried.
    pub fn send_one(&mut self) -> Result<(), SendError> {
        self.send_entered(Ledger::send)
    }

    /// Sends one event that was due at `due`, from which its latencies are counted: a load generator that is late must not make the
    /// gateway look faster.
    ///
    /// # Errors
    /// As [`Traffic::send_one`].
    pub fn send_due(&mut self, due: std::time::Instant) -> Result<(), SendError> {
        self.send_entered(|ledger, class| ledger.send_due(class, due))
    }

    /// Sends one event, which `enter` enters into the ledger.
    fn send_entered(&mut self, enter: impl Fn(&Ledger, DeliveryClass) -> Key) -> Result<(), SendError> {
        let qos = self.qos.nth(self.count);
        let mut outcome = Err(SendError::Offline);
        for _ in 0..self.fleet.len() {
            let device = self.next_device;
            self.next_device = (self.next_device + 1) % self.fleet.len();
            if !self.fleet.is_online(device) {
                continue;
            }
            let key = enter(&self.ledger, delivery_class(qos));
            outcome = self.fleet.send(device, |id, out| self.writer.write(id, key, qos, out));
            if outcome.is_ok() {
                self.count += 1;
                return Ok(());
            }
            self.ledger.cancel(key);
        }
        outcome
    }

    /// Sends `rate` events per second until the future is dropped. Events that were due while no device was able to send are
    /// skipped.
    pub async fn run(mut self, rate: f64) {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut last = Instant::now();
        let mut due = 0.0;
        loop {
            let now = ticks.tick().await;
            due += rate * (now - last).as_secs_f64();
            last = now;
            while due >= 1.0 {
                due -= 1.0;
                if self.send_one().is_err() {
                    due = 0.0;
                }
            }
        }
    }
}

/// A payload of `len` bytes that looks like JSON.
fn filler(len: usize) -> Vec<u8> {
    br#"{"cpu":12,"mem":345,"up":6789,"#.iter().copied().cycle().take(len).collect()
}

fn rewrite(text: &mut String, with: fmt::Arguments<'_>) {
    text.clear();
    // Writing to a String cannot fail.
    let _ = fmt::Write::write_fmt(text, with);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::RunId;

    #[test]
    fn an_event_has_the_given_length() {
        let run = RunId::new(9);
        for size in [250, 256, 350, 400, 500, 1000, 70_000] {
            let mut out = vec![];
            EventWriter::new(size).write(&run.device_id(3), run.key(4), Qos(50), &mut out);
            assert!(out.len().abs_diff(size) <= 2, "{size}: {}", out.len());
        }
    }

    #[test]
    fn an_event_has_the_key_the_device_and_the_qos_it_was_written_with() {
        let run = RunId::new(9);
        let mut out = vec![];
        EventWriter::new(10).write(&run.device_id(3), run.key(4), Qos(30), &mut out);
        let event = MessageRef::decode_v3(&out).unwrap();
        assert_eq!(Key::parse(event.transaction_uuid.as_bytes()), Some(run.key(4)));
        assert_eq!(event.dest.to_string(), format!("event:telemetry/{}", run.device_id(3)));
        assert_eq!((event.qos, event.payload), (Qos(30), None));
    }

    #[test]
    fn a_mix_uses_each_level_in_turn() {
        let mix: QosMix = "mix".parse().unwrap();
        assert_eq!((0..5).map(|n| mix.nth(n).0).collect::<Vec<_>>(), [10, 30, 60, 80, 10]);
        assert_eq!("75".parse::<QosMix>().unwrap().nth(3), Qos(75));
        for text in ["", "100", "-1", "high"] {
            assert!(text.parse::<QosMix>().is_err(), "{text:?}");
        }
    }
}
