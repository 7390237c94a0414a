//! The section `tracing` changes while the gateway runs (contract §14.7). Spans that wait go to the new collector.

use std::sync::Arc;

use super::{Config, Tracing};
use crate::live::{Change, Live, PrepareError, Setting};

impl Live<Config> for Tracing {
    const SETTINGS: &'static [Setting] = &[Setting::live("tracing")];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let (tracing, settings) = (Arc::clone(self), settings.clone());
        Ok(Box::new(move || tracing.set(&settings)))
    }
}
