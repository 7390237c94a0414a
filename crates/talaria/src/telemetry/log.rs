//! The gateway's log: JSON or console lines, written by one thread for each output (contract §9.9).
//!
//! The thread that logs formats the line and puts it into a bounded queue for each output; it never waits for a disk or
//! a pipe. While an output stalls, further lines are dropped and counted, and the count is logged when the output
//! accepts lines again. Spans are ignored: this module does not trace requests. Start reading at [`Logging::start`].

mod config;
mod error;
mod line;
mod losses;
mod rotation;
mod sampling;
mod writer;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

use losses::Losses;
use sampling::Sampler;
use writer::Writer;

use crate::live::{Change, Live, PrepareError, Setting};

pub use config::{
    Config, Encoding, Form, Keys, Level, LevelForm, Output, TimeForm, UnknownEncodingError,
    UnknownLevelError, UnknownLevelFormError, UnknownTimeFormError,
};
pub use error::Error;
pub use line::field;
pub use losses::LogMetrics;
pub use rotation::Rotation;
pub use sampling::Sampling;

/// How long dropping a [`Logging`] waits for its outputs.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// A running log. Dropping it writes the queued lines, for at most a second, and ends the threads.
#[derive(Debug)]
pub struct Logging {
    outputs: Mutex<Outputs>,
    lines: Arc<ArcSwap<Lines>>,
    level: reload::Handle<Targets, Registry>,
    losses: Arc<Losses>,
}

/// The outputs and their threads.
#[derive(Debug)]
struct Outputs {
    of: Vec<Output>,
    rotation: Option<Rotation>,
    writers: Vec<Writer>,
    /// The lines that outputs dropped which are not in use any more.
    dropped_before: u64,
}

/// The form of the next line, and where it goes.
#[derive(Debug)]
struct Lines {
    form: Form,
    sampler: Option<Sampler>,
    queues: Vec<writer::Queue>,
}

impl Live<Config> for Logging {
    const SETTINGS: &'static [Setting] = &[Setting::live("")];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let is_same = {
            let outputs = self.outputs.lock();
            outputs.of == settings.outputs && outputs.rotation == settings.rotation
        };
        let opened = if is_same {
            None
        } else {
            let writers = start(settings, &self.losses);
            Some(writers.map_err(|error| PrepareError(format!("zap.outputPaths: {error}")))?)
        };
        let (logging, settings) = (Arc::clone(self), settings.clone());
        Ok(Box::new(move || logging.change(settings, opened)))
    }
}

impl Logging {
    /// Opens the outputs and makes this the log of the process.
    ///
    /// # Errors
    /// If an output cannot be opened, or the process already has a log.
    pub fn start(config: &Config) -> Result<Self, Error> {
        let (logging, subscriber) = Self::build(config)?;
        tracing::subscriber::set_global_default(subscriber).map_err(|_| Error::AlreadyStarted)?;
        Ok(logging)
    }

    /// Counts lost lines in these metrics.
    pub fn count_into(&self, metrics: LogMetrics) {
        self.losses.count_into(metrics);
    }

    /// Opens the log files again by their paths, so that lines go to new files after the old ones were moved away
    /// (contract §14.30). No line is lost; a file that cannot be opened leaves the old one in use, with an error line.
    pub fn reopen(&self) {
        for writer in &self.outputs.lock().writers {
            writer.reopen();
        }
    }

    /// The number of lines that were dropped because an output had stalled.
    pub fn dropped(&self) -> u64 {
        let outputs = self.outputs.lock();
        outputs.dropped_before + outputs.writers.iter().map(Writer::dropped).sum::<u64>()
    }

    /// Writes the queued lines and ends the threads; waits at most `within` for each output.
    pub fn stop(&self, within: Duration) {
        let writers = std::mem::take(&mut self.outputs.lock().writers);
        for mut writer in writers {
            writer.stop(within);
        }
    }

    /// Takes up other settings. `opened` are the writers of the outputs if those have changed.
    fn change(&self, settings: Config, opened: Option<Vec<Writer>>) {
        let mut replaced = Vec::new();
        let queues = {
            let mut outputs = self.outputs.lock();
            if let Some(opened) = opened {
                outputs.of = settings.outputs.clone();
                outputs.rotation = settings.rotation;
                replaced = std::mem::replace(&mut outputs.writers, opened);
            }
            outputs.writers.iter().map(Writer::queue).collect()
        };
        // Fails only if the subscriber is gone, and then nothing is logged anyway.
        let _ = self.level.reload(filter(&settings));
        let sampler = settings.sampling.map(Sampler::new);
        self.lines.store(Arc::new(Lines { form: settings.form, sampler, queues }));
        for mut writer in replaced {
            writer.stop(STOP_WITHIN);
            self.outputs.lock().dropped_before += writer.dropped();
        }
    }

    fn build(config: &Config) -> Result<(Self, impl Subscriber + Send + Sync + use<>), Error> {
        let losses = Arc::<Losses>::default();
        let writers = start(config, &losses)?;
        let queues = writers.iter().map(Writer::queue).collect();
        let (filter, level) = reload::Layer::new(filter(config));
        let lines = Lines { form: config.form.clone(), sampler: config.sampling.map(Sampler::new), queues };
        let lines = Arc::new(ArcSwap::from_pointee(lines));
        let layer = LineLayer { lines: Arc::clone(&lines), losses: Arc::clone(&losses) };
        let (of, rotation) = (config.outputs.clone(), config.rotation);
        let outputs = Mutex::new(Outputs { of, rotation, writers, dropped_before: 0 });
        Ok((Self { outputs, lines, level, losses }, tracing_subscriber::registry().with(filter).with(layer)))
    }
}

fn start(config: &Config, losses: &Arc<Losses>) -> Result<Vec<Writer>, Error> {
    config.outputs.iter().map(|output| Writer::start(output, config.rotation, losses)).collect()
}

/// The least important levels that are logged.
fn filter(config: &Config) -> Targets {
    Targets::new().with_default(config.level).with_targets(config.targets.iter().cloned())
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.stop(STOP_WITHIN);
    }
}

/// Formats each event once and puts the line into the queue of every output.
struct LineLayer {
    lines: Arc<ArcSwap<Lines>>,
    losses: Arc<Losses>,
}

impl<S: Subscriber> Layer<S> for LineLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() { Interest::always() } else { Interest::never() }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let lines = self.lines.load();
        if lines.sampler.as_ref().is_some_and(|sampler| !sampler.takes(event.metadata())) {
            self.losses.leave_out();
            return;
        }
        let line = line::write(event, &lines.form);
        for queue in &lines.queues {
            queue.push(line.clone());
        }
    }
}
