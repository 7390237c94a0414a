//! Discovery's settings change while the gateway runs (contract §14.7).

use std::sync::Arc;

use tokio::runtime::Handle;

use super::{Config, Discovery};
use crate::live::{Change, Live, PrepareError, Setting};

impl Live<Option<Config>> for Discovery {
    const SETTINGS: &'static [Setting] = &[Setting::live("service"), Setting::live("device.rehasher")];

    fn prepare(self: &Arc<Self>, settings: &Option<Config>) -> Result<Change, PrepareError> {
        let (discovery, settings, runtime) = (Arc::clone(self), settings.clone(), Handle::current());
        Ok(Box::new(move || runtime.block_on(discovery.apply(settings))))
    }
}
