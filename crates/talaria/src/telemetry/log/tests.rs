//! The log with real files.

use std::path::PathBuf;

use tracing::level_filters::LevelFilter;

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
    let keys = Keys { message, ..Keys::default() };
    let config = Config { form: Form { keys, ..Form::default() }, ..folder.config() };
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
        logging.change(Config { level: Level::Debug, ..folder.config() }, None);
        tracing::debug!("shown");
    });
    drop(logging);
    assert_eq!(folder.lines().len(), 1);
    assert!(folder.lines()[0].contains("shown"));
}

#[test]
fn a_console_line_is_separated_by_tabs() {
    let folder = Folder::new("console");
    let config = Config { form: Form { encoding: Encoding::Console, ..Form::default() }, ..folder.config() };
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
    let config = Config { form: Form { encoding: Encoding::Console, ..Form::default() }, ..folder.config() };
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

/// contract §9.9
#[test]
fn a_line_has_what_the_encoder_is_configured_with() {
    let folder = Folder::new("encoder");
    let keys =
        Keys { level: String::new(), name: "from".to_owned(), caller: "at".to_owned(), ..Keys::default() };
    let form = Form {
        keys,
        levels: LevelForm::Capital,
        time: TimeForm::Nanos,
        fields: field("site", "a\"b"),
        separator: " | ".to_owned(),
        ..Form::default()
    };
    for encoding in [Encoding::Json, Encoding::Console] {
        let config = Config { form: Form { encoding, ..form.clone() }, ..folder.config() };
        let (logging, subscriber) = Logging::build(&config).unwrap();
        tracing::subscriber::with_default(subscriber, || tracing::warn!(count = 3, "here"));
        drop(logging);
    }
    let lines = folder.lines();
    let line: serde_json::Value = serde_json::from_str(&lines[0]).unwrap();
    assert_eq!((line.get("level"), &line["count"], &line["site"]), (None, &3.into(), &"a\"b".into()));
    assert_eq!(line["from"], "talaria::telemetry::log::tests");
    assert!(line["ts"].is_number() && line["at"].as_str().unwrap().contains("tests.rs:"), "{line}");
    assert!(lines[1].ends_with(r#" | here | {"site":"a\"b","count":3}"#), "{}", lines[1]);
}

#[test]
fn a_line_without_any_key_but_its_fields_is_an_object_all_the_same() {
    let folder = Folder::new("bare");
    let none = String::new;
    let keys = Keys { time: none(), level: none(), message: none(), name: none(), caller: none() };
    let config = Config { form: Form { keys, ..Form::default() }, ..folder.config() };
    let (logging, subscriber) = Logging::build(&config).unwrap();
    tracing::subscriber::with_default(subscriber, || tracing::warn!(count = 3, "here"));
    drop(logging);
    assert_eq!(folder.lines(), [r#"{"count":3}"#]);
}

/// contract §9.9
#[test]
fn parts_of_the_gateway_have_levels_of_their_own_which_change_while_the_log_runs() {
    let folder = Folder::new("targets");
    let targets = vec![("talaria::telemetry".to_owned(), LevelFilter::ERROR)];
    let (logging, subscriber) = Logging::build(&Config { targets, ..folder.config() }).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        tracing::warn!("hidden");
        tracing::info!(target: "wrpkafka", "shown");
        let targets = vec![("wrpkafka::client".to_owned(), LevelFilter::DEBUG)];
        logging.change(Config { targets, ..folder.config() }, None);
        tracing::debug!(target: "wrpkafka::client::x", "shown");
        tracing::debug!(target: "wrpkafka", "hidden");
        tracing::warn!("shown");
    });
    drop(logging);
    assert_eq!(folder.lines().len(), 3, "{:?}", folder.lines());
    assert!(folder.lines().iter().all(|line| line.contains("shown")));
}

#[test]
fn a_file_is_rotated_before_it_is_too_large_and_no_line_is_lost() {
    let folder = Folder::new("rotation");
    let rotation =
        Rotation { max_bytes: 2000, max_days: None, max_backups: None, local_time: false, compress: false };
    let config = Config { rotation: Some(rotation), ..folder.config() };
    let (logging, subscriber) = Logging::build(&config).unwrap();
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..100 {
            tracing::info!(number, "a line of some length, so that a few of them fill a file");
        }
    });
    drop(logging);
    let mut files: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    let texts: Vec<String> = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    assert!(files.len() > 3 && texts.iter().all(|text| text.len() <= 2000), "{files:?}");
    assert_eq!(texts.iter().map(|text| text.lines().count()).sum::<usize>(), 100);
}

/// contract §10.18
#[test]
fn lines_that_sampling_leaves_out_are_counted() {
    let folder = Folder::new("sampling");
    let sampling = Sampling { initial: 2, thereafter: 0, tick: Duration::from_secs(3600) };
    let config = Config { sampling: Some(sampling), ..folder.config() };
    let (logging, subscriber) = Logging::build(&config).unwrap();
    let metrics = crate::telemetry::metrics::Metrics::default();
    tracing::subscriber::with_default(subscriber, || {
        for number in 0..10 {
            tracing::info!(number, "many");
            if number == 5 {
                logging.count_into(LogMetrics::register(&metrics));
            }
        }
    });
    drop(logging);
    assert_eq!(folder.lines().len(), 2);
    let page = String::from_utf8(metrics.gather_text()).unwrap();
    assert!(page.contains("talaria_talaria_log_lines_sampled_total 8\n"), "{page}");
    assert!(page.contains("talaria_talaria_log_lines_lost_total{reason=\"stalled\"} 0\n"), "{page}");
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
