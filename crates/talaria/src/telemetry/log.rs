//! The gateway's log: JSON or console lines, written by one thread for each output (contract §9.9).
//!
//! The thread that logs formats the line and puts it into a bounded queue for each output; it never waits for a disk or
//! a pipe. While an output stalls, further lines are dropped and counted, and the count is logged when the output
//! accepts lines again. Spans are ignored: this module does not trace requests. Start reading at [`Logging::start`].

mod config;
mod error;
mod line;
mod writer;

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::subscriber::{Interest, Subscriber};
use tracing::{Event, Metadata};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};
use tracing_subscriber::{Registry, reload};

use writer::Writer;

use crate::live::{Change, Live, PrepareError, Setting};

pub use config::{Config, Encoding, Keys, Level, Output, UnknownEncodingError, UnknownLevelError};
pub use error::Error;

/// How long dropping a [`Logging`] waits for its outputs.
const STOP_WITHIN: Duration = Duration::from_secs(1);

/// A running log. Dropping it writes the queued lines, for at most a second, and ends the threads.
#[derive(Debug)]
pub struct Logging {
    outputs: Mutex<Outputs>,
    lines: Arc<ArcSwap<Lines>>,
    level: reload::Handle<LevelFilter, Registry>,
}

/// The outputs and their threads.
#[derive(Debug)]
struct Outputs {
    of: Vec<Output>,
    writers: Vec<Writer>,
    /// The lines that outputs dropped which are not in use any more.
    dropped_before: u64,
}

/// The form of the next line, and where it goes.
#[derive(Debug)]
struct Lines {
    encoding: Encoding,
    keys: Keys,
    queues: Vec<writer::Queue>,
}

impl Live<Config> for Logging {
    const SETTINGS: &'static [Setting] = &[Setting::live("")];

    fn prepare(self: &Arc<Self>, settings: &Config) -> Result<Change, PrepareError> {
        let opened = if self.outputs.lock().of == settings.outputs {
            None
        } else {
            let writers = start(&settings.outputs);
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

    /// Changes the least important level that is logged, from the next line on.
    pub fn set_level(&self, level: Level) {
        // Fails only if the subscriber is gone, and then nothing is logged anyway.
        let _ = self.level.reload(LevelFilter::from(level));
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
                outputs.of = settings.outputs;
                replaced = std::mem::replace(&mut outputs.writers, opened);
            }
            outputs.writers.iter().map(Writer::queue).collect()
        };
        let Config { level, encoding, keys, .. } = settings;
        self.lines.store(Arc::new(Lines { encoding, keys, queues }));
        self.set_level(level);
        for mut writer in replaced {
            writer.stop(STOP_WITHIN);
            self.outputs.lock().dropped_before += writer.dropped();
        }
    }

    fn build(config: &Config) -> Result<(Self, impl Subscriber + Send + Sync + use<>), Error> {
        let writers = start(&config.outputs)?;
        let queues = writers.iter().map(Writer::queue).collect();
        let (filter, level) = reload::Layer::new(LevelFilter::from(config.level));
        let lines = Lines { encoding: config.encoding, keys: config.keys.clone(), queues };
        let lines = Arc::new(ArcSwap::from_pointee(lines));
        let layer = LineLayer(Arc::clone(&lines));
        let outputs = Mutex::new(Outputs { of: config.outputs.clone(), writers, dropped_before: 0 });
        Ok((Self { outputs, lines, level }, tracing_subscriber::registry().with(filter).with(layer)))
    }
}

fn start(outputs: &[Output]) -> Result<Vec<Writer>, Error> {
    outputs.iter().map(Writer::start).collect()
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.stop(STOP_WITHIN);
    }
}

/// Formats each event once and puts the line into the queue of every output.
struct LineLayer(Arc<ArcSwap<Lines>>);

impl<S: Subscriber> Layer<S> for LineLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if metadata.is_event() { Interest::always() } else { Interest::never() }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let lines = self.0.load();
        let line = line::write(event, lines.encoding, &lines.keys);
        for queue in &lines.queues {
            queue.push(line.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// A directory of its own, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("talaria-log-{name}-{}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn config(&self) -> Config {
            Config { outputs: vec![Output::File(self.0.join("log"))], ..Config::default() }
        }

        fn lines(&self) -> Vec<String> {
            std::fs::read_to_string(self.0.join("log")).unwrap().lines().map(str::to_owned).collect()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn brokers_are_logged_as_a_list_and_other_values_that_look_like_one_as_text() {
        let folder = Folder::new("lists");
        let (logging, subscriber) = Logging::build(&folder.config()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(brokers = ?["a:1", "b\"2"], device = ?["x"], "one");
        });
        drop(logging);
        let line = folder.lines().remove(0);
        assert!(line.ends_with(r#""msg":"one","brokers":["a:1","b\"2"],"device":"[\"x\"]"}"#), "{line}");
    }

    #[test]
    fn a_line_is_a_json_object_with_level_time_message_and_fields() {
        let folder = Folder::new("json");
        let (logging, subscriber) = Logging::build(&folder.config()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(destination = "event:x", count = 3, on = true, "Published \"it\"");
        });
        drop(logging);
        let line: serde_json::Value = serde_json::from_str(&folder.lines()[0]).unwrap();
        assert_eq!(line["level"], "info");
        assert_eq!(line["msg"], "Published \"it\"");
        assert_eq!(line["destination"], "event:x");
        assert_eq!(line["count"], 3);
        assert_eq!(line["on"], true);
        let time: jiff::Timestamp = line["ts"].as_str().unwrap().parse().unwrap();
        assert!(time.duration_until(jiff::Timestamp::now()).as_secs() < 60);
    }

    #[test]
    fn the_keys_can_be_renamed() {
        let folder = Folder::new("keys");
        let message = "message".to_owned();
        let config = Config { keys: Keys { message, ..Keys::default() }, ..folder.config() };
        let (logging, subscriber) = Logging::build(&config).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::warn!("here"));
        drop(logging);
        let line: serde_json::Value = serde_json::from_str(&folder.lines()[0]).unwrap();
        assert_eq!((&line["message"], &line["level"]), (&"here".into(), &"warn".into()));
    }

    #[test]
    fn the_level_changes_while_the_log_runs() {
        let folder = Folder::new("level");
        let (logging, subscriber) = Logging::build(&folder.config()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!("hidden");
            logging.set_level(Level::Debug);
            tracing::debug!("shown");
        });
        drop(logging);
        assert_eq!(folder.lines().len(), 1);
        assert!(folder.lines()[0].contains("shown"));
    }

    #[test]
    fn a_console_line_is_separated_by_tabs() {
        let folder = Folder::new("console");
        let config = Config { encoding: Encoding::Console, ..folder.config() };
        let (logging, subscriber) = Logging::build(&config).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::error!(id = "mac:1", "gone"));
        drop(logging);
        let line = folder.lines().remove(0);
        let parts: Vec<&str> = line.split('\t').collect();
        assert_eq!(parts[1..], ["error", "gone", "{\"id\":\"mac:1\"}"]);
    }

    /// contract §9.9, §14.30
    #[test]
    fn a_file_that_was_moved_away_is_opened_again_and_no_line_is_lost() {
        let folder = Folder::new("reopen");
        let (logging, subscriber) = Logging::build(&folder.config()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..1000 {
                tracing::info!(number, "line");
                if number == 500 {
                    std::fs::rename(folder.0.join("log"), folder.0.join("log.1")).unwrap();
                    logging.reopen();
                }
            }
        });
        drop(logging);
        let old = std::fs::read_to_string(folder.0.join("log.1")).unwrap();
        let lines: Vec<_> = old.lines().map(str::to_owned).chain(folder.lines()).collect();
        assert!(!folder.lines().is_empty(), "the new file has the last lines");
        assert_eq!(lines.len(), 1000);
        for (number, line) in lines.iter().enumerate() {
            assert!(line.contains(&format!("\"number\":{number}}}")), "{line}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_again_stays_in_use() {
        let folder = Folder::new("stays");
        let (logging, subscriber) = Logging::build(&folder.config()).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            let open = std::fs::File::open(folder.0.join("log")).unwrap();
            let elsewhere = folder.0.join("log.1");
            std::fs::rename(folder.0.join("log"), &elsewhere).unwrap();
            std::fs::create_dir(folder.0.join("log")).unwrap();
            logging.reopen();
            tracing::info!("kept");
            drop(logging);
            assert!(std::io::read_to_string(open).unwrap().contains("kept"));
        });
    }

    /// contract §9.9
    #[test]
    fn a_long_value_is_cut_and_what_forges_or_disguises_a_line_is_escaped() {
        let folder = Folder::new("cut");
        let config = Config { encoding: Encoding::Console, ..folder.config() };
        let long = "é".repeat(5000);
        for config in [folder.config(), config] {
            let (logging, subscriber) = Logging::build(&config).unwrap();
            tracing::subscriber::with_default(subscriber, || {
                tracing::info!(text = long, debug = ?long, display = %long, forged = "a\n{}\r\u{202e}\u{1b}[2J", "m\n{long}");
            });
            drop(logging);
        }
        let lines = folder.lines();
        assert_eq!(lines.len(), 2);
        for line in &lines {
            assert!(line.len() < 5 * 560, "{}", line.len());
            assert!(line.contains("é… (9488 more bytes)"), "{line}");
            assert!(line.contains(r#""forged":"a\n{}\r\u202e\u001b[2J""#), "{line}");
            assert!(line.contains(r"m\né"), "{line}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let path = PathBuf::from("/nonexistent-folder/log");
        let outputs = vec![Output::File(path)];
        let error = Logging::build(&Config { outputs, ..Config::default() }).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("/nonexistent-folder/log"), "{error}");
    }

    #[test]
    fn levels_and_outputs_are_zaps() {
        assert_eq!("ERROR".parse(), Ok(Level::Error));
        assert_eq!("fatal".parse(), Ok(Level::Error));
        assert_eq!("loud".parse::<Level>(), Err(UnknownLevelError));
        assert_eq!(Output::from("stderr"), Output::Stderr);
        assert_eq!(Output::from("file:///var/log/t"), Output::File("/var/log/t".into()));
    }
}
