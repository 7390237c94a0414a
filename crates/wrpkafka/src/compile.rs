//! Compiles a configuration into a [`RouteTable`], and finds all its faults at once.
//!
//! This layer joins the two below it: [`config`](crate::config), which says what is written, and
//! [`routing`](crate::routing), whose parsers and tables do the work. Neither of them imports it. It opens no files:
//! certificates and passwords are read when a client is built. Start reading at [`Config::compile`].

mod client_properties;
mod limits;
mod registry;
mod route;
mod security;
#[cfg(test)]
mod tests;

use crate::config::{Config, ConfigError, DEFAULT_TOPIC, DynamicConfig, Fault, Route};
use crate::routing::{HeaderTemplates, MAX_TOPICS, NilKey, RouteTable};

impl Config {
    /// Checks the whole configuration. Files are not opened: that is [`Publisher::start`](crate::Publisher::start)'s.
    ///
    /// # Errors
    /// All faults at once, keys relative to the `kafka` section.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.compile().map(|_| ())
    }

    /// Checks the whole configuration and compiles its routes and headers.
    ///
    /// # Errors
    /// As [`check`](Config::check).
    pub fn compile(&self) -> Result<RouteTable, ConfigError> {
        let mut faults = Faults::default();
        self.check_brokers(&mut faults);
        self.check_buffer(&mut faults);
        self.check_times(&mut faults);
        self.check_security(&mut faults);
        self.check_client_properties(&mut faults);
        self.schema_registry.check(&mut faults);
        self.dead_letter.check(&mut faults);
        self.dynamic.check_limits(&mut faults);
        let nil_key = if self.deny_nil_partition_key { NilKey::Denied } else { NilKey::Allowed };
        let table = self.dynamic.compile_into(nil_key, &mut faults);
        faults.or(table)
    }
}

impl DynamicConfig {
    /// Checks routes and headers. The limits of batches belong to the whole configuration: see [`Config::check`].
    ///
    /// # Errors
    /// All faults at once, keys relative to the `kafka` section.
    pub fn check(&self) -> Result<(), ConfigError> {
        self.compile(NilKey::Allowed).map(|_| ())
    }

    fn compile(&self, nil_key: NilKey) -> Result<RouteTable, ConfigError> {
        let mut faults = Faults::default();
        let table = self.compile_into(nil_key, &mut faults);
        faults.or(table)
    }

    fn compile_into(&self, nil_key: NilKey, faults: &mut Faults) -> RouteTable {
        let catch_all = [catch_all()];
        let map = if self.topic_map.is_empty() { &catch_all[..] } else { &self.topic_map };
        let routes = map.iter().enumerate().filter_map(|(i, route)| route.compile(i, faults)).collect();
        let headers = HeaderTemplates::parse(&self.headers, |name, problem| {
            faults.add(dynamic(&format!("headers.{name}")), problem.to_string());
        });
        let table = RouteTable::new(routes, headers, nil_key);
        let topics = table.count_topics();
        if topics > MAX_TOPICS {
            faults.add(dynamic("topicMap"), format!("names {topics} topics: expected at most {MAX_TOPICS}"));
        }
        table
    }
}

/// The route of a configuration that has none (contract §14.1).
fn catch_all() -> Route {
    Route { pattern: "*".to_owned(), topic: DEFAULT_TOPIC.to_owned(), ..Route::default() }
}

/// The problem of a text that librdkafka, a C library, would cut short.
const ZERO_BYTE: &str = "contains a zero byte";
/// The problem of a password that is configured both as a text and as a file.
const TWO_PASSWORDS: &str = "excludes password: expected only one of them";

/// The whole key of a dynamic setting.
fn dynamic(key: &str) -> String {
    format!("initialDynamicConfig.{key}")
}

/// The faults found so far.
#[derive(Default)]
struct Faults(Vec<Fault>);

impl Faults {
    fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Fault { key: key.into(), problem: problem.into() });
    }

    fn count(&self) -> usize {
        self.0.len()
    }

    fn or<T>(self, value: T) -> Result<T, ConfigError> {
        if self.0.is_empty() { Ok(value) } else { Err(ConfigError(self.0)) }
    }
}
