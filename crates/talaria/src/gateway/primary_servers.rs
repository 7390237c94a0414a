//! The servers for devices and for the API, which end in two steps: no new connections, then no requests.

use std::time::Duration;

use crate::server::RunningServer;

/// The servers for devices and for the API: the primary one, and the alternate one if it is configured.
pub(super) struct PrimaryServers {
    pub(super) primary: RunningServer,
    pub(super) alternate: Option<RunningServer>,
}

impl PrimaryServers {
    pub(super) fn stop_accepting(&self) {
        self.primary.stop_accepting();
        if let Some(alternate) = &self.alternate {
            alternate.stop_accepting();
        }
    }

    pub(super) async fn stop(self, within: Duration) {
        tokio::join!(self.primary.stop(within), stop_optional(self.alternate, within));
    }
}

/// Lets a server end, if there is one.
pub(super) async fn stop_optional(server: Option<RunningServer>, within: Duration) {
    if let Some(server) = server {
        server.stop(within).await;
    }
}
