//! The settings of devices that change while the gateway runs (contract §14.7).

use std::sync::Arc;

use super::config::Config;
use super::manager::Manager;
use crate::live::{Change, Live, PrepareError, Setting};

impl Live<Config> for Manager {
    const SETTINGS: &'static [Setting] = &[Setting::live("")];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let (manager, settings) = (Arc::clone(self), settings.clone());
        Ok(Box::new(move || manager.change(settings)))
    }
}

impl Manager {
    /// Connected devices keep the bounds of their queues and of their messages' lengths, and the address of one that connected
    /// without `floodTime` is not known; everything else holds for them, too.
    fn change(&self, config: Config) {
        let context = &self.context;
        context.registry.set_limit(config.max_devices);
        context.metrics.max_device_count.set(config.max_devices.map_or(0, |max| max as i64));
        context.wheel.set_periods(&config);
        context.unfinished.set_limit(config.max_unfinished_bytes);
        context.queued.set_limit(config.max_queued_bytes);
        context.refusals.set_rules(&config.refusal);
        context.ends.set_percent(config.disconnect_cpu_percent);
        context.config.store(Arc::new(config));
    }
}
