//! Watches services by blocking queries: Consul answers when something has changed, or after the wait.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::Method;
use talaria_protocol::discovery::consul::{self, Index};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};
use tracing::warn;

use super::client::{Client, ConsulError, Query, escaped};
use super::config::Watch;
use crate::discovery::backoff::Backoff;
use crate::discovery::report::{Reporter, Seen, WatchName};

/// The time between the starts of two queries, at least: a Consul that does not wait must not be asked without pause.
const LEAST_BETWEEN: Duration = Duration::from_millis(100);

/// How long Consul waits if it is not asked for a time.
const DEFAULT_WAIT: Duration = Duration::from_secs(300);

/// The watches of a backend. They end when it is dropped.
pub(super) struct Watching {
    client: Arc<Client>,
    reporter: Reporter,
    tasks: HashMap<String, (Arc<WatchName>, JoinSet<()>)>,
}

impl Watching {
    pub(super) fn new(client: Arc<Client>, reporter: Reporter) -> Self {
        Self { client, reporter, tasks: HashMap::new() }
    }

    /// Watches a service in a datacenter; empty: that of the client.
    pub(super) fn start(&mut self, watch: Watch, datacenter: &str) {
        let name = Arc::new(WatchName { service: watch.service.clone(), key: watch.key(datacenter) });
        if self.tasks.contains_key(&name.key) {
            warn!(watch = name.key, "skipping duplicate watch");
            return;
        }
        let service = ServiceWatch {
            client: Arc::clone(&self.client),
            watch,
            datacenter: datacenter.to_owned(),
            name: Arc::clone(&name),
            reporter: self.reporter.clone(),
        };
        let mut task = JoinSet::new();
        task.spawn(service.run());
        self.tasks.insert(name.key.clone(), (name, task));
    }

    /// Of the watches of all datacenters, keeps and starts those of these.
    pub(super) async fn keep(&mut self, watches: &[Watch], datacenters: &[String]) {
        for watch in watches {
            let keys: Vec<String> = datacenters.iter().map(|datacenter| watch.key(datacenter)).collect();
            let prefix = watch.key("");
            let prefix = prefix.trim_end_matches('}');
            let gone: Vec<String> = self
                .tasks
                .keys()
                .filter(|key| key.starts_with(prefix) && !keys.contains(*key) && **key != watch.key(""))
                .cloned()
                .collect();
            for key in gone {
                if let Some((name, task)) = self.tasks.remove(&key) {
                    drop(task);
                    self.reporter.report(&name, Seen::Ended).await;
                }
            }
            for (datacenter, key) in datacenters.iter().zip(keys) {
                if !self.tasks.contains_key(&key) {
                    self.start(watch.clone(), datacenter);
                }
            }
        }
    }
}

/// The watch of one service in one datacenter.
struct ServiceWatch {
    client: Arc<Client>,
    watch: Watch,
    datacenter: String,
    name: Arc<WatchName>,
    reporter: Reporter,
}

impl ServiceWatch {
    async fn run(self) {
        let mut index = Index::default();
        let mut backoff = Backoff::default();
        let mut latest: Option<Vec<String>> = None;
        loop {
            let next = Instant::now() + LEAST_BETWEEN;
            match self.ask(&mut index).await {
                Ok(mut instances) => {
                    backoff.reset();
                    instances.sort_unstable();
                    if latest.as_ref() != Some(&instances) {
                        latest = Some(instances.clone());
                        self.reporter.report(&self.name, Seen::Instances(instances)).await;
                    }
                    sleep_until(next).await;
                }
                Err(error) => {
                    // The next query does not wait, and its answer is news.
                    index.reset();
                    latest = None;
                    let (finality, error) = (error.finality(), error.to_string());
                    self.reporter.report(&self.name, Seen::Failed { error, finality }).await;
                    backoff.wait().await;
                }
            }
        }
    }

    async fn ask(&self, index: &mut Index) -> Result<Vec<String>, ConsulError> {
        let watch = &self.watch;
        let mut query = Query::new(Method::GET, format!("/v1/health/service/{}", escaped(&watch.service)));
        for (name, value) in &watch.parameters {
            query = query.with(name, value.clone());
        }
        if !self.datacenter.is_empty() {
            query = query.with("dc", self.datacenter.clone());
        }
        for tag in &watch.tags {
            query = query.with("tag", tag.clone());
        }
        if watch.passing_only {
            query = query.with("passing", "1");
        }
        query.token = watch.token.as_ref();
        query.cache_control = watch.cache_control.as_deref();
        let wait = watch.wait_time.unwrap_or(self.client.wait_time());
        if let Some(index) = index.for_query() {
            query = query.with("index", index.to_string());
            if !wait.is_zero() {
                query = query.with("wait", format!("{}ms", wait.as_millis().max(1)));
            }
            let wait = if wait.is_zero() { DEFAULT_WAIT } else { wait };
            // Consul adds up to a sixteenth, so that not all queries end together.
            query.waits = wait + wait / 16;
        }
        let answer = self.client.send(query).await?;
        let entries = consul::entries(&answer.body, &watch.tags)?;
        index.take(answer.index)?;
        Ok(entries.into_iter().map(|entry| entry.instance).collect())
    }
}
