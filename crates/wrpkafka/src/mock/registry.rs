//! A schema registry inside the process, with the part of Confluent's API that a producer uses.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use super::MockError;

/// The longest body that is read, in bytes.
const MAX_BODY: u64 = 1 << 20;
/// How long a client may take to send its request.
const READ_TIMEOUT: Duration = Duration::from_secs(5);

/// A running schema registry. It ends when this is dropped.
///
/// It registers schemas under subjects and looks them up. It checks neither whether a schema is valid nor whether versions
/// are compatible.
pub struct MockRegistry {
    address: SocketAddr,
    scheme: &'static str,
    state: Arc<Mutex<State>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct State {
    /// The schema of each id, from 1 on.
    schemas: Vec<Value>,
    /// The ids registered under each subject.
    subjects: BTreeMap<String, Vec<usize>>,
    requests: u64,
    behaviour: Behaviour,
    /// The `Authorization` that every request must have, if any.
    authorization: Option<String>,
}

/// How the registry treats requests.
#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Behaviour {
    #[default]
    Answers,
    ClosesConnections,
    /// Answers every request with this status.
    Rejects(u16),
    Ended,
}

impl MockRegistry {
    /// Starts a registry on a free port.
    ///
    /// # Errors
    /// There is no port, or no thread.
    pub fn start() -> Result<Self, MockError> {
        Self::launch("http", None)
    }

    /// Starts a registry that speaks TLS, with this certificate and key (PEM).
    ///
    /// # Errors
    /// The certificate or the key cannot be used; there is no port, or no thread.
    pub fn start_tls(certificate: &str, key: &str) -> Result<Self, MockError> {
        let failed = |error: &dyn std::fmt::Display| MockError(error.to_string());
        let chain = CertificateDer::from_pem_slice(certificate.as_bytes()).map_err(|e| failed(&e))?;
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|e| failed(&e))?;
        let config =
            ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
                .with_safe_default_protocol_versions()
                .map_err(|e| failed(&e))?
                .with_no_client_auth()
                .with_single_cert(vec![chain], key)
                .map_err(|e| failed(&e))?;
        Self::launch("https", Some(Arc::new(config)))
    }

    fn launch(scheme: &'static str, tls: Option<Arc<ServerConfig>>) -> Result<Self, MockError> {
        let failed = |error: std::io::Error| MockError(error.to_string());
        let listener = TcpListener::bind("localhost:0").map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let state = Arc::new(Mutex::new(State::default()));
        let served = Arc::clone(&state);
        let thread = std::thread::Builder::new()
            .name("mock-registry".to_owned())
            .spawn(move || serve(&listener, &served, tls.as_ref()))
            .map_err(failed)?;
        Ok(Self { address, scheme, state, thread: Some(thread) })
    }

    /// Its address, for [`SchemaRegistry::urls`](crate::config::SchemaRegistry::urls).
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://localhost:{}", self.scheme, self.address.port())
    }

    /// Closes every connection without an answer from now on, or no longer.
    pub fn set_down(&self, down: bool) {
        self.state.lock().behaviour = if down { Behaviour::ClosesConnections } else { Behaviour::Answers };
    }

    /// Rejects every request with this status from now on; none: no longer.
    pub fn refuse(&self, status: Option<u16>) {
        self.state.lock().behaviour = status.map_or(Behaviour::Answers, Behaviour::Rejects);
    }

    /// Answers 401 to requests without this `Authorization` header.
    pub fn require_authorization(&self, header: &str) {
        self.state.lock().authorization = Some(header.to_owned());
    }

    /// Registers a schema, as another program might, and returns its id.
    #[must_use]
    pub fn register(&self, subject: &str, schema: &Value) -> u32 {
        u32::try_from(self.state.lock().register(subject, schema)).unwrap_or(u32::MAX)
    }

    /// The latest schema's id under a subject.
    #[must_use]
    pub fn id(&self, subject: &str) -> Option<u32> {
        let id = *self.state.lock().subjects.get(subject)?.last()?;
        u32::try_from(id).ok()
    }

    /// How many requests were made.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.state.lock().requests
    }
}

impl Drop for MockRegistry {
    fn drop(&mut self) {
        self.state.lock().behaviour = Behaviour::Ended;
        // Wakes the thread, so that it sees that it must end.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed to standard error.
            let _ = thread.join();
        }
    }
}

impl State {
    /// The same schema has the same id under every subject, as in the API.
    fn register(&mut self, subject: &str, schema: &Value) -> usize {
        let known = self.schemas.iter().position(|known| known == schema);
        let id = 1 + known.unwrap_or_else(|| {
            self.schemas.push(schema.clone());
            self.schemas.len() - 1
        });
        let ids = self.subjects.entry(subject.to_owned()).or_default();
        if !ids.contains(&id) {
            ids.push(id);
        }
        id
    }

    fn answer(&mut self, request: &Request) -> (u16, Value) {
        if let Behaviour::Rejects(status) = self.behaviour {
            return error(status, "told to refuse");
        }
        if self.authorization.as_ref().is_some_and(|wanted| request.authorization.as_ref() != Some(wanted)) {
            return error(401, "unauthorized");
        }
        let path: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (request.method.as_str(), path.as_slice()) {
            ("POST", ["subjects", subject, "versions"]) => {
                (200, json!({"id": self.register(subject, &request.body)}))
            }
            ("POST", ["subjects", subject]) => {
                let ids = self.subjects.get(*subject);
                let found = ids.and_then(|ids| ids.iter().find(|id| self.schemas[**id - 1] == request.body));
                match found {
                    Some(id) => (200, json!({"subject": subject, "id": id, "version": 1})),
                    None => error(404, "schema not found"),
                }
            }
            ("GET", ["schemas", "ids", id]) => {
                let index = id.parse::<usize>().ok().and_then(|id| id.checked_sub(1));
                match index.and_then(|index| self.schemas.get(index)) {
                    Some(schema) => (200, schema.clone()),
                    None => error(404, "schema not found"),
                }
            }
            _ => error(404, "not found"),
        }
    }
}

fn error(status: u16, message: &str) -> (u16, Value) {
    (status, json!({"error_code": status, "message": message}))
}

struct Request {
    method: String,
    path: String,
    authorization: Option<String>,
    body: Value,
}

/// Serves one connection after the other, with one request each.
fn serve(listener: &TcpListener, state: &Mutex<State>, tls: Option<&Arc<ServerConfig>>) {
    for stream in listener.incoming() {
        let behaviour = state.lock().behaviour;
        match (behaviour, stream) {
            (Behaviour::Ended, _) => return,
            (Behaviour::ClosesConnections, _) | (_, Err(_)) => {}
            (_, Ok(stream)) => {
                let _ = stream.set_read_timeout(Some(READ_TIMEOUT));
                // A client that closes early is not an error.
                let _ = match tls.map(|config| ServerConnection::new(Arc::clone(config))) {
                    None => exchange(stream, state),
                    Some(Ok(session)) => exchange(StreamOwned::new(session, stream), state),
                    Some(Err(_)) => Ok(()),
                };
            }
        }
    }
}

fn exchange(stream: impl Read + Write, state: &Mutex<State>) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let Some(request) = read(&mut stream)? else { return Ok(()) };
    let (status, body) = {
        let mut state = state.lock();
        state.requests += 1;
        state.answer(&request)
    };
    let body = body.to_string();
    let head = format!("HTTP/1.1 {status} -\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    stream.get_mut().write_all((head + &body).as_bytes())?;
    stream.get_mut().flush()
}

fn read(stream: &mut impl std::io::BufRead) -> std::io::Result<Option<Request>> {
    let mut line = String::new();
    let mut next = |line: &mut String| {
        line.clear();
        stream.take(MAX_BODY).read_line(line).map(|_| line.trim_end().to_owned())
    };
    let first = next(&mut line)?;
    let mut words = first.split(' ');
    let (Some(method), Some(path)) = (words.next(), words.next()) else { return Ok(None) };
    let (mut length, mut authorization) = (0, None);
    loop {
        let header = next(&mut line)?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().unwrap_or(0),
            "authorization" => authorization = Some(value.trim().to_owned()),
            _ => {}
        }
    }
    let mut body = Vec::new();
    stream.take(length.min(MAX_BODY)).read_to_end(&mut body)?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Some(Request { method: method.to_owned(), path: path.to_owned(), authorization, body }))
}
