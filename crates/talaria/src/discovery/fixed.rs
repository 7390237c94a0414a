//! The backend of a fleet whose instances are written in the configuration. Nothing is registered.

use std::sync::Arc;

use super::report::{Reporter, Seen, WatchName};

/// What it is called in metrics and in `device.rehasher.services`.
pub(super) const NAME: &str = "fixed";

/// Reports the instances, once.
pub(super) async fn run(instances: Vec<String>, reporter: Reporter) {
    let watch = Arc::new(WatchName { service: NAME.to_owned(), key: NAME.to_owned() });
    reporter.report(&watch, Seen::Instances(instances)).await;
}
