//! Fetches the pages: one thread for each gateway, so that one that hangs does not hold up the others.
//!
//! A page is parsed in the thread that has fetched it. Answers go through a bounded channel to the caller; a thread ends when the
//! caller has dropped the receiving end. Redirects are not followed, because credentials belong to one server.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ureq::Agent;
use ureq::http::StatusCode;
use ureq::http::header::{ACCEPT, AUTHORIZATION};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::clock::Clock;
use crate::reading::{PageError, Reading};
use crate::target::Target;

/// The longest page that is read.
const LONGEST_PAGE: u64 = 64 << 20;

/// How long a whole request may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What a gateway has answered.
#[derive(Debug)]
pub(crate) struct Answer {
    /// Which of the targets.
    pub index: usize,
    /// When it had answered.
    pub at: Duration,
    /// What its page says, or why there is none.
    pub page: Result<Reading, FetchError>,
}

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FetchError {
    #[error("no answer within {} s", TIMEOUT.as_secs())]
    Timeout,
    #[error("{0}")]
    Io(io::Error),
    #[error("the credentials are wrong or missing: http://user:password@host:port")]
    Credentials,
    #[error("the answer is {0}")]
    Status(StatusCode),
    #[error("the page is longer than {} MiB", LONGEST_PAGE >> 20)]
    TooLong,
    #[error("the page is not UTF-8")]
    NotText,
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("{0}")]
    Http(ureq::Error),
}

/// Certificates of authorities that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct AuthoritiesError(String);

/// The threads, and what they report.
#[derive(Debug)]
pub(crate) struct Fetchers {
    answers: Receiver<Answer>,
    threads: Vec<JoinHandle<()>>,
}

impl Fetchers {
    /// Starts to fetch the page of each target at once, and then at each multiple of `interval`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub(crate) fn start(
        targets: Vec<Target>,
        agent: &Agent,
        interval: Duration,
        clock: Clock,
    ) -> io::Result<Self> {
        // Room for the answers of two rounds: a thread whose answers are not taken waits.
        let (report, answers) = sync_channel(2 * targets.len());
        let mut threads = Vec::with_capacity(targets.len());
        for (index, target) in targets.into_iter().enumerate() {
            let fetcher =
                Fetcher { index, target, agent: agent.clone(), interval, clock, report: report.clone() };
            threads.push(thread::Builder::new().name(format!("fetch-{index}")).spawn(move || fetcher.run())?);
        }
        Ok(Self { answers, threads })
    }

    /// The next answer, if one comes within this time.
    pub(crate) fn next(&self, within: Duration) -> Option<Answer> {
        self.answers.recv_timeout(within).ok()
    }

    /// Whether all threads run. One that has ended has panicked.
    pub(crate) fn are_running(&self) -> bool {
        !self.threads.iter().any(JoinHandle::is_finished)
    }
}

struct Fetcher {
    index: usize,
    target: Target,
    agent: Agent,
    interval: Duration,
    clock: Clock,
    report: SyncSender<Answer>,
}

impl Fetcher {
    fn run(self) {
        loop {
            let page = page(&self.agent, &self.target);
            let answer = Answer { index: self.index, at: self.clock.running(), page };
            if self.report.send(answer).is_err() {
                return;
            }
            // A round that took longer than the interval is followed by the next whole one.
            let running = self.clock.running().as_nanos();
            let interval = self.interval.as_nanos().max(1);
            let wait = interval - running % interval;
            thread::park_timeout(Duration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)));
        }
    }
}

/// A client for all targets. For those with https, `authorities` is a PEM file in place of the system's certificates.
///
/// # Errors
/// [`AuthoritiesError`]
pub(crate) fn agent(targets: &[Target], authorities: Option<&str>) -> Result<Agent, AuthoritiesError> {
    let mut config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_response_header_size(16 * 1024)
        .proxy(None)
        .timeout_global(Some(TIMEOUT))
        .user_agent(concat!("talaria-top/", env!("CARGO_PKG_VERSION")));
    if targets.iter().any(Target::is_https) {
        let tls = TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .root_certs(roots(authorities)?);
        config = config.tls_config(tls.build());
    }
    Ok(config.build().new_agent())
}

fn page(agent: &Agent, target: &Target) -> Result<Reading, FetchError> {
    let mut request = agent.get(target.url()).header(ACCEPT, "text/plain");
    if let Some(authorization) = target.authorization() {
        request = request.header(AUTHORIZATION, authorization);
    }
    let mut response = request.call().map_err(FetchError::of)?;
    match response.status() {
        StatusCode::OK => {}
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(FetchError::Credentials),
        status => return Err(FetchError::Status(status)),
    }
    let page = response.body_mut().with_config().limit(LONGEST_PAGE).read_to_vec().map_err(FetchError::of)?;
    let page = String::from_utf8(page).map_err(|_| FetchError::NotText)?;
    Ok(Reading::of(&page)?)
}

impl FetchError {
    fn of(error: ureq::Error) -> Self {
        match error {
            ureq::Error::Timeout(_) => Self::Timeout,
            ureq::Error::BodyExceedsLimit(_) => Self::TooLong,
            ureq::Error::Io(error) if error.kind() == io::ErrorKind::TimedOut => Self::Timeout,
            ureq::Error::Io(error) => Self::Io(error),
            error => Self::Http(error),
        }
    }
}

fn roots(authorities: Option<&str>) -> Result<RootCerts, AuthoritiesError> {
    let certificates: Vec<Certificate<'static>> = match authorities {
        None => {
            // System certificates that cannot be read are skipped.
            let system = rustls_native_certs::load_native_certs().certs;
            system.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
        }
        Some(path) => {
            let pem = std::fs::read(path).map_err(|error| AuthoritiesError(format!("{path}: {error}")))?;
            let items = parse_pem(&pem).filter_map(|item| match item {
                Ok(PemItem::Certificate(certificate)) => Some(certificate),
                _ => None,
            });
            items.collect()
        }
    };
    match authorities {
        Some(path) if certificates.is_empty() => {
            Err(AuthoritiesError(format!("{path} has no certificate in PEM")))
        }
        _ => Ok(RootCerts::new_with_certs(&certificates)),
    }
}

#[cfg(test)]
mod tests;
