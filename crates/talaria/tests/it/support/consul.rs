//! A stand-in for a Consul agent, in this process: not Consul, but what its documentation says of the parts of the HTTP API
//! that a gateway and its neighbours use. `consul_stand_in.rs` drives it with HashiCorp's own client.
//!
//! It has services with their checks (TTL and HTTP), blocking queries with their index, errors of a cluster without a leader,
//! refusals for want of a token, and it can be made to lie.

mod connection;
mod reply;
mod service;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;
use reply::{elsewhere, json_of, plain, unescaped, with_index};
use rustls::ServerConfig;
use serde_json::{Value as Json, json};
use service::{Check, Service, is_well, text, time};
use talaria_protocol::go::duration;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// How often checks are looked at.
const TICK: Duration = Duration::from_millis(20);

/// How it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mood {
    Well,
    /// Its cluster has no leader: what is not the agent's own is answered with 500.
    NoLeader,
    /// Every request is answered with 403.
    Refusing,
    /// Connections are closed without an answer.
    Down,
    /// It knows no instances of any service.
    Empty,
    /// It answers with something else than JSON.
    Babbling,
}

/// The stand-in. It ends when it is dropped.
pub(crate) struct Consul {
    address: SocketAddr,
    state: Arc<State>,
    _tasks: JoinSet<()>,
}

struct State {
    agent: Mutex<Agent>,
    /// Sent with each change of the index or the mood.
    changes: watch::Sender<()>,
}

struct Agent {
    index: u64,
    mood: Mood,
    /// Without it, requests are answered with 403; empty: any may ask.
    token: String,
    services: BTreeMap<String, Service>,
    /// Services of other datacenters: names with `address:port`.
    others: BTreeMap<String, Vec<(String, String)>>,
    registrations: usize,
    queries: usize,
}

impl Consul {
    pub(crate) async fn start() -> Self {
        Self::start_with(None).await
    }

    /// One that speaks TLS.
    pub(crate) async fn start_tls(tls: ServerConfig) -> Self {
        Self::start_with(Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn start_with(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let agent = Agent {
            index: 10,
            mood: Mood::Well,
            token: String::new(),
            services: BTreeMap::new(),
            others: BTreeMap::new(),
            registrations: 0,
            queries: 0,
        };
        let state = Arc::new(State { agent: Mutex::new(agent), changes: watch::Sender::new(()) });
        let mut tasks = JoinSet::new();
        tasks.spawn(connection::serve(listener, tls, Arc::clone(&state)));
        tasks.spawn(watch_checks(Arc::clone(&state)));
        Self { address, state, _tasks: tasks }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    pub(crate) fn set_mood(&self, mood: Mood) {
        self.change(|agent| agent.mood = mood);
    }

    pub(crate) fn require_token(&self, token: &str) {
        self.change(|agent| agent.token = token.to_owned());
    }

    /// What a restore from a snapshot does: the index goes back.
    pub(crate) fn restore(&self) {
        self.change(|agent| agent.index = 1);
    }

    /// What a restart without its data does.
    pub(crate) fn forget(&self) {
        self.change(|agent| agent.services.clear());
    }

    /// Another datacenter with these services: name and `address:port`.
    pub(crate) fn set_datacenter(&self, name: &str, services: &[(&str, &str)]) {
        let services = services.iter().map(|(name, at)| ((*name).to_owned(), (*at).to_owned())).collect();
        self.change(|agent| drop(agent.others.insert(name.to_owned(), services)));
    }

    pub(crate) fn ids(&self) -> Vec<String> {
        self.state.agent.lock().services.keys().cloned().collect()
    }

    /// Requests of `/v1/health/service`.
    pub(crate) fn queries(&self) -> usize {
        self.state.agent.lock().queries
    }

    pub(crate) fn registrations(&self) -> usize {
        self.state.agent.lock().registrations
    }

    fn change(&self, change: impl FnOnce(&mut Agent)) {
        let mut agent = self.state.agent.lock();
        agent.index += 1;
        change(&mut agent);
        self.state.changes.send_replace(());
    }
}

/// Lets TTL checks become critical, probes HTTP checks, and deregisters what is critical for too long.
async fn watch_checks(state: Arc<State>) {
    loop {
        tokio::time::sleep(TICK).await;
        let now = Instant::now();
        let mut probes = Vec::new();
        {
            let mut agent = state.agent.lock();
            let mut changed = false;
            let mut gone = Vec::new();
            for (id, service) in &mut agent.services {
                for (check_id, check) in &mut service.checks {
                    if check.expires.is_some_and(|expires| now >= expires) {
                        check.expires = None;
                        changed |= check.set("critical", "TTL expired".to_owned());
                    }
                    if check.next_probe.is_some_and(|next| now >= next) {
                        check.next_probe = Some(now + time(&check.definition["Interval"]));
                        probes.push((id.clone(), check_id.clone(), text(&check.definition["HTTP"])));
                    }
                    let limit = &check.definition["DeregisterCriticalServiceAfter"];
                    if limit.is_string()
                        && check.critical_since.is_some_and(|since| now >= since + time(limit))
                    {
                        gone.push(id.clone());
                    }
                }
            }
            for id in gone {
                changed |= agent.services.remove(&id).is_some();
            }
            if changed {
                agent.index += 1;
                state.changes.send_replace(());
            }
        }
        for (id, check_id, url) in probes {
            let (status, output) =
                if is_well(&url).await { ("passing", "HTTP GET: 200 OK") } else { ("critical", "no 200") };
            let mut agent = state.agent.lock();
            let check = agent.services.get_mut(&id).and_then(|service| service.checks.get_mut(&check_id));
            if check.is_some_and(|check| check.set(status, output.to_owned())) {
                agent.index += 1;
                state.changes.send_replace(());
            }
        }
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let (mood, token) = {
        let agent = state.agent.lock();
        (agent.mood, agent.token.clone())
    };
    let given = head.headers.get("x-consul-token").and_then(|token| token.to_str().ok()).unwrap_or_default();
    if mood == Mood::Refusing || (!token.is_empty() && given != token) {
        return Ok(plain(
            StatusCode::FORBIDDEN,
            "Permission denied: token with AccessorID '' lacks permission",
        ));
    }
    let path = head.uri.path().to_owned();
    let parameters: Vec<(String, String)> = head
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(name, value)| (name.to_owned(), unescaped(value)))
        .collect();
    let is_agents = path.starts_with("/v1/agent/");
    if mood == Mood::NoLeader && !is_agents {
        return Ok(plain(StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"));
    }
    if let Some(id) = path.strip_prefix("/v1/agent/service/deregister/") {
        return Ok(state.deregister(&unescaped(id)));
    }
    if let Some(id) = path.strip_prefix("/v1/agent/check/update/") {
        return Ok(state.update_check(&unescaped(id), &body));
    }
    if let Some(name) = path.strip_prefix("/v1/health/service/") {
        return Ok(state.health(&unescaped(name), &parameters).await);
    }
    Ok(match (&head.method, path.as_str()) {
        (&Method::PUT, "/v1/agent/service/register") => state.register(&body),
        (&Method::GET, "/v1/agent/services") => state.services(),
        (&Method::GET, "/v1/agent/checks") => state.checks(),
        (&Method::GET, "/v1/catalog/datacenters") => {
            let agent = state.agent.lock();
            let names = std::iter::once("dc1").chain(agent.others.keys().map(String::as_str));
            json_of(&names.collect::<Vec<_>>().into())
        }
        (&Method::GET, path) if path.starts_with("/v1/agent/service/") => {
            let id = unescaped(path.trim_start_matches("/v1/agent/service/"));
            match state.agent.lock().services.get(&id) {
                Some(service) => json_of(&service.described(&id)),
                None => plain(StatusCode::NOT_FOUND, &format!("unknown service ID: {id}")),
            }
        }
        _ => plain(StatusCode::NOT_FOUND, "404 page not found"),
    })
}

impl State {
    fn register(&self, body: &Bytes) -> Response<Full<Bytes>> {
        let Ok(registration) = serde_json::from_slice::<Json>(body) else {
            return plain(StatusCode::BAD_REQUEST, "Request decode failed");
        };
        let name = text(&registration["Name"]);
        if name.is_empty() {
            return plain(StatusCode::BAD_REQUEST, "Missing service name");
        }
        let id = Some(text(&registration["ID"])).filter(|id| !id.is_empty()).unwrap_or(name);
        let mut definitions: Vec<Json> = Vec::new();
        definitions.extend(Some(registration["Check"].clone()).filter(Json::is_object));
        definitions.extend(registration["Checks"].as_array().cloned().unwrap_or_default());
        let many = definitions.len() > 1;
        let mut agent = self.agent.lock();
        let mut former = agent.services.remove(&id).map(|service| service.checks).unwrap_or_default();
        let mut checks = BTreeMap::new();
        for (number, definition) in (1..).zip(definitions) {
            let by_number = if many { format!("service:{id}:{number}") } else { format!("service:{id}") };
            let check_id =
                Some(text(&definition["CheckID"])).filter(|id| !id.is_empty()).unwrap_or(by_number);
            // A check that is registered again keeps its state.
            let check = former.remove(&check_id).unwrap_or_else(|| Check::new(definition));
            checks.insert(check_id, check);
        }
        agent.services.insert(id, Service { registration, checks });
        agent.registrations += 1;
        agent.index += 1;
        self.changes.send_replace(());
        plain(StatusCode::OK, "")
    }

    fn deregister(&self, id: &str) -> Response<Full<Bytes>> {
        let mut agent = self.agent.lock();
        if agent.services.remove(id).is_none() {
            return plain(StatusCode::NOT_FOUND, &format!("Unknown service ID {id:?}."));
        }
        agent.index += 1;
        self.changes.send_replace(());
        plain(StatusCode::OK, "")
    }

    fn update_check(&self, id: &str, body: &Bytes) -> Response<Full<Bytes>> {
        let update: Json = serde_json::from_slice(body).unwrap_or_default();
        let status = match update["Status"].as_str() {
            Some("passing") => "passing",
            Some("warning") => "warning",
            Some("critical") => "critical",
            _ => return plain(StatusCode::BAD_REQUEST, "Invalid check status"),
        };
        let mut agent = self.agent.lock();
        let check = agent.services.values_mut().find_map(|service| service.checks.get_mut(id));
        let Some(check) = check else {
            return plain(
                StatusCode::NOT_FOUND,
                &format!("Unknown check ID {id:?}. Ensure that the check ID is passed, not the check name."),
            );
        };
        check.expires = Some(Instant::now() + time(&check.definition["TTL"]));
        if check.set(status, text(&update["Output"])) {
            agent.index += 1;
            self.changes.send_replace(());
        }
        plain(StatusCode::OK, "")
    }

    fn services(&self) -> Response<Full<Bytes>> {
        let agent = self.agent.lock();
        json_of(
            &agent
                .services
                .iter()
                .map(|(id, service)| (id.clone(), service.described(id)))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        )
    }

    fn checks(&self) -> Response<Full<Bytes>> {
        let agent = self.agent.lock();
        let all = agent.services.iter().flat_map(|(id, service)| {
            service
                .checks
                .iter()
                .map(move |(check_id, check)| (check_id.clone(), check.described(check_id, id, service)))
        });
        json_of(&all.collect::<serde_json::Map<_, _>>().into())
    }

    /// "Blocking Queries": answers when the index is greater than the given one, or after the wait.
    async fn health(&self, name: &str, parameters: &[(String, String)]) -> Response<Full<Bytes>> {
        let parameter =
            |name: &str| parameters.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str());
        let since: u64 = parameter("index").and_then(|index| index.parse().ok()).unwrap_or(0);
        let wait = parameter("wait").and_then(|wait| duration::parse(wait).ok()).unwrap_or(300_000_000_000);
        let deadline = tokio::time::Instant::now()
            + Duration::from_nanos(wait.unsigned_abs()).min(Duration::from_secs(600));
        let mut changes = self.changes.subscribe();
        self.agent.lock().queries += 1;
        let began = self.agent.lock().index;
        loop {
            let (index, mood) = {
                let agent = self.agent.lock();
                (agent.index, agent.mood)
            };
            // A restore ends all queries that wait.
            if since == 0 || index > since || index < began {
                break;
            }
            match mood {
                Mood::NoLeader => return plain(StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"),
                Mood::Refusing => return plain(StatusCode::FORBIDDEN, "Permission denied"),
                _ => {}
            }
            tokio::select! {
                _ = changes.changed() => {}
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        let agent = self.agent.lock();
        match agent.mood {
            Mood::NoLeader => return plain(StatusCode::INTERNAL_SERVER_ERROR, "No cluster leader"),
            Mood::Refusing => return plain(StatusCode::FORBIDDEN, "Permission denied"),
            Mood::Babbling => return with_index(agent.index, "<html>maintenance</html>".to_owned()),
            _ => {}
        }
        let entries = match parameter("dc") {
            Some(other) if other != "dc1" => match agent.others.get(other) {
                None => return plain(StatusCode::INTERNAL_SERVER_ERROR, "No path to datacenter"),
                Some(services) => services
                    .iter()
                    .filter(|(service, _)| service == name)
                    .map(|(service, at)| elsewhere(service, at))
                    .collect(),
            },
            _ if agent.mood == Mood::Empty => Vec::new(),
            _ => agent.entries(name, parameters),
        };
        with_index(agent.index, Json::from(entries).to_string())
    }
}

impl Agent {
    fn entries(&self, name: &str, parameters: &[(String, String)]) -> Vec<Json> {
        let tags: Vec<&str> =
            parameters.iter().filter(|(given, _)| given == "tag").map(|(_, tag)| tag.as_str()).collect();
        let passing = parameters.iter().any(|(given, _)| given == "passing");
        let is_meant = |service: &&Service| {
            let own: Vec<&str> = service.registration["Tags"]
                .as_array()
                .map(|tags| tags.iter().filter_map(Json::as_str).collect())
                .unwrap_or_default();
            service.registration["Name"] == name
                && tags.iter().all(|tag| own.contains(tag))
                && (!passing || service.checks.values().all(|check| check.status == "passing"))
        };
        self.services
            .iter()
            .filter(|(_, service)| is_meant(service))
            .map(|(id, service)| {
                let checks: Vec<Json> = service
                    .checks
                    .iter()
                    .map(|(check_id, check)| check.described(check_id, id, service))
                    .collect();
                json!({
                    "Node": {"ID": "1", "Node": "stand-in", "Address": "127.0.0.1", "Datacenter": "dc1"},
                    "Service": service.described(id),
                    "Checks": checks,
                })
            })
            .collect()
    }
}
