//! The settings of handshakes change while the gateway runs (contract §14.7).

use std::sync::Arc;

use super::{Handshakes, HandshakesConfig};
use crate::live::{Change, Live, PrepareError, Setting};

impl Live<HandshakesConfig> for Handshakes {
    const SETTINGS: &'static [Setting] = &[Setting::live("")];

    /// One that waits already waits for as long as it was to wait.
    fn prepare(self: &Arc<Self>, settings: &HandshakesConfig) -> Result<Change, PrepareError> {
        let (handshakes, settings) = (Arc::clone(self), *settings);
        Ok(Box::new(move || {
            let mut state = handshakes.state.lock();
            state.share.set(handshakes.cores, settings.cpu_percent);
            state.max_wait = settings.max_wait;
        }))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::{Duration, Instant};

    use super::*;
    use crate::server::HandshakeKind;
    use crate::telemetry::metrics::Metrics;

    #[tokio::test(start_paused = true)]
    async fn another_share_and_another_wait_hold_at_once() {
        let config = HandshakesConfig { cpu_percent: 50, max_wait: Duration::from_secs(4) };
        let handshakes = Handshakes::on(1, config, &Metrics::default());
        let each_second = || handshakes.state.lock().share.each_second();
        let before = each_second();
        handshakes.prepare(&HandshakesConfig { cpu_percent: 100, max_wait: Duration::from_secs(1) }).unwrap()(
        );
        assert_eq!(each_second(), 2 * before);
        let started = Instant::now();
        handshakes.state.lock().share.spend(i64::MAX / 2);
        handshakes.begin(HandshakeKind::Device).await.unwrap_err();
        assert_eq!(started.elapsed().as_millis(), 1000);
    }
}
