//! Which devices and partners send most: for the operator who looks for the cause of an overload.
//!
//! One message of about [`EVERY`] is counted, for as many, and of each kind at most [`KEPT`] are kept: when another one comes, it
//! takes the place of the least, with its count (space-saving, Metwally and others 2005). So a device that
//! sends more than a [`KEPT`]th of all is among them, and a message costs next to nothing.
//!
//! Deliberately absent: exact counts. Those of a device are its statistics. Start reading at [`Noisiest::count`].

use std::cell::Cell;
use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;
use wrp::DeviceId;

use super::connected::Device;

/// One message of so many is counted, on average.
const EVERY: u32 = 64;

/// How many devices, and how many partners, are kept.
const KEPT: usize = 64;

/// How many are shown.
const SHOWN: usize = 10;

/// What counts in addition to the bytes of a message, because it costs more than them.
const MESSAGE: u64 = 1024;

/// How long a period of counting is. The last one to two are shown.
const PERIOD: Duration = Duration::from_secs(60);

thread_local! {
    /// How many messages of this thread are left until one is counted, and the state of a generator of random numbers.
    static UNTIL_NEXT: Cell<(u32, u32)> = const { Cell::new((1, 0x9E37_79B9)) };
}

/// The devices and partners that send most.
#[derive(Debug)]
pub struct Noisiest(Mutex<Periods>);

/// How much one of them sends, estimated.
#[derive(Clone, Debug, PartialEq)]
pub struct Noise<K> {
    /// Which one.
    pub of: K,
    /// Messages a second.
    pub messages: f64,
    /// Their bytes a second.
    pub bytes: f64,
}

#[derive(Debug)]
struct Periods {
    begun: Instant,
    now: Counts,
    before: Counts,
    /// How long the period before was.
    took: Duration,
}

#[derive(Debug, Default)]
struct Counts {
    devices: Sketch<DeviceId>,
    partners: Sketch<Box<str>>,
}

/// Those of one kind that have sent most.
#[derive(Debug)]
struct Sketch<K> {
    kept: Vec<(u32, K, Count)>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Count {
    messages: u64,
    bytes: u64,
    /// What it has taken over from others whose place it took, by [`Count::weight`].
    taken_over: u64,
}

impl Default for Noisiest {
    fn default() -> Self {
        Self(Mutex::new(Periods {
            begun: Instant::now(),
            now: Counts::default(),
            before: Counts::default(),
            took: Duration::ZERO,
        }))
    }
}

impl Noisiest {
    /// Counts a message of so many bytes.
    pub(super) fn count(&self, device: &Device, bytes: usize) {
        let (left, random) = UNTIL_NEXT.get();
        if left > 1 {
            return UNTIL_NEXT.set((left - 1, random));
        }
        // From one to twice the mean less one: no device can send in step with it (xorshift, Marsaglia 2003).
        let random = random ^ random << 13;
        let random = random ^ random >> 17;
        let random = random ^ random << 5;
        UNTIL_NEXT.set((1 + random % (2 * EVERY - 1), random));
        let count =
            Count { messages: u64::from(EVERY), bytes: u64::from(EVERY) * bytes as u64, taken_over: 0 };
        let mut periods = self.0.lock();
        periods.go_on(Instant::now());
        let owner = device.owner();
        periods.now.devices.add(owner.device, count, || device.id().clone());
        periods.now.partners.add(owner.partner, count, || device.partner_id().into());
    }

    /// The ten devices and the ten partners that have sent most lately, most first.
    pub fn show(&self) -> (Vec<Noise<DeviceId>>, Vec<Noise<Box<str>>>) {
        let mut periods = self.0.lock();
        let now = Instant::now();
        periods.go_on(now);
        let took = periods.took + now.duration_since(periods.begun);
        (
            most(&periods.now.devices, &periods.before.devices, took),
            most(&periods.now.partners, &periods.before.partners, took),
        )
    }
}

impl Periods {
    /// Begins the next period if it is time.
    fn go_on(&mut self, now: Instant) {
        let took = now.duration_since(self.begun);
        if took >= PERIOD {
            // Whatever is older than two periods is forgotten.
            let last = std::mem::take(&mut self.now);
            (self.before, self.took) =
                if took < 2 * PERIOD { (last, took) } else { (Counts::default(), Duration::ZERO) };
            self.begun = now;
        }
    }
}

impl<K> Default for Sketch<K> {
    fn default() -> Self {
        Self { kept: Vec::new() }
    }
}

impl<K> Sketch<K> {
    fn add(&mut self, key: u32, count: Count, name: impl FnOnce() -> K) {
        if let Some((.., kept)) = self.kept.iter_mut().find(|(kept, ..)| *kept == key) {
            kept.messages += count.messages;
            kept.bytes += count.bytes;
        } else if self.kept.len() < KEPT {
            self.kept.push((key, name(), count));
        } else if let Some(least) = self.kept.iter_mut().min_by_key(|(.., kept)| kept.weight()) {
            *least = (key, name(), Count { taken_over: least.2.weight(), ..count });
        }
    }
}

impl Count {
    /// What decides who has sent most.
    fn weight(&self) -> u64 {
        self.taken_over + self.bytes + MESSAGE * self.messages
    }
}

/// Those who have sent most in two periods.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn most<K: Clone>(now: &Sketch<K>, before: &Sketch<K>, took: Duration) -> Vec<Noise<K>> {
    let mut sums = HashMap::<u32, (&K, Count)>::new();
    for (key, name, count) in now.kept.iter().chain(&before.kept) {
        let (_, sum) = sums.entry(*key).or_insert((name, Count::default()));
        sum.messages += count.messages;
        sum.bytes += count.bytes;
    }
    let mut sums: Vec<_> = sums.into_values().collect();
    sums.sort_unstable_by_key(|(_, count)| std::cmp::Reverse(count.weight()));
    let seconds = took.as_secs_f64().max(1.0);
    let rate = |count: u64| count as f64 / seconds;
    let noise = |(name, count): (&K, Count)| Noise {
        of: name.clone(),
        messages: rate(count.messages),
        bytes: rate(count.bytes),
    };
    sums.into_iter().take(SHOWN).map(noise).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::json;
    use talaria_protocol::claims::Claims;
    use talaria_protocol::connect::Identity;
    use tokio::time::advance;

    use super::*;
    use crate::device::{Config, session_id};

    fn device(number: usize, partner: &str) -> Arc<Device> {
        let claims = Claims::new(json!({ "partner-id": partner }).as_object().unwrap());
        let id = format!("mac:{number:012x}").parse().unwrap();
        let identity = Identity { claims: Some(claims), ..Identity::new(id, session_id::random()) };
        Device::new(identity, &Config::default())
    }

    #[tokio::test(start_paused = true)]
    async fn the_loudest_device_and_its_partner_are_found_among_thousands() {
        let noisiest = Noisiest::default();
        let loud = device(0, "loud");
        let quiet: Vec<_> =
            (1..3000).map(|number| device(number, &format!("quiet {}", number % 500))).collect();
        for round in 0..60 {
            for device in &quiet {
                noisiest.count(device, 100);
            }
            for _ in 0..quiet.len() / 4 {
                noisiest.count(&loud, 1000);
            }
            if round == 30 {
                advance(Duration::from_secs(61)).await;
            }
        }
        advance(Duration::from_secs(39)).await;
        let (devices, partners) = noisiest.show();
        assert_eq!((devices.len(), partners.len()), (SHOWN, SHOWN));
        assert_eq!((devices[0].of.as_str(), &*partners[0].of), ("mac:000000000000", "loud"));
        let sent = 60.0 * 749.0 / 100.0;
        assert!((sent * 0.8..sent * 1.2).contains(&devices[0].messages), "{:?}", devices[0]);
        assert!((sent * 800.0..sent * 1200.0).contains(&partners[0].bytes), "{:?}", partners[0]);
        advance(Duration::from_secs(121)).await;
        assert_eq!(noisiest.show(), (Vec::new(), Vec::new()), "what is old is forgotten");
    }

    #[test]
    fn no_more_are_kept_than_the_table_holds() {
        let mut sketch = Sketch::default();
        for key in 0..10_000 {
            sketch.add(key, Count { messages: 1, bytes: 1, taken_over: 0 }, || key);
        }
        assert_eq!(sketch.kept.len(), KEPT);
        assert!(sketch.kept.capacity() <= 2 * KEPT);
    }
}
