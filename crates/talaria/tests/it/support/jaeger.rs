//! A real Jaeger, all in one and in memory.
//!
//! `scripts/jaeger build` builds it, which takes too long for CI. The tests that need it run if it is there, and print `SKIPPED`
//! otherwise; with `TALARIA_REQUIRE_JAEGER=1` they build it.

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value as Json;

use super::http::request;
use super::{Leash, eventually};

/// How long it may take to start.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Jaeger; killed when it is dropped.
pub(crate) struct Jaeger {
    process: Child,
    _leash: Leash,
    pub(crate) grpc: SocketAddr,
    pub(crate) http: SocketAddr,
    query: SocketAddr,
}

impl Jaeger {
    /// Starts one; `None` where it is missing, which has been said loudly then.
    #[expect(clippy::disallowed_methods, reason = "the variable is for the tests, not a setting")]
    pub(crate) async fn start() -> Option<Self> {
        let is_required = std::env::var_os("TALARIA_REQUIRE_JAEGER").is_some();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/jaeger");
        let found = Command::new(script).arg(if is_required { "build" } else { "path" }).output().unwrap();
        if !found.status.success() {
            let reason = String::from_utf8_lossy(&found.stderr).trim().to_owned();
            assert!(!is_required, "TALARIA_REQUIRE_JAEGER is set: {reason}");
            // To stderr itself: the test harness would capture what `eprintln!` prints in a test that passes.
            _ = writeln!(std::io::stderr(), "\nSKIPPED: the tests with a real Jaeger: {reason}");
            return None;
        }
        let binary = String::from_utf8(found.stdout).unwrap();
        let [grpc, http, query, others @ ..] = free_addresses::<7>();
        let options = [
            ("collector.otlp.grpc.host-port", grpc),
            ("collector.otlp.http.host-port", http),
            ("query.http-server.host-port", query),
            ("query.grpc-server.host-port", others[0]),
            ("collector.grpc-server.host-port", others[1]),
            ("collector.http-server.host-port", others[2]),
            ("admin.http.host-port", others[3]),
        ];
        let options = options.map(|(name, address)| format!("--{name}={address}"));
        let process = Command::new(binary.trim())
            .args(["--log-level=error", "--collector.otlp.enabled=true"])
            .args(&options)
            .env("SPAN_STORAGE_TYPE", "memory")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let leash = Leash::on(process.id());
        let mut jaeger = Self { process, _leash: leash, grpc, http, query };
        eventually("Jaeger answers", PATIENCE, async || {
            assert!(jaeger.process.try_wait().unwrap().is_none(), "Jaeger has ended");
            let listens = async |address| tokio::net::TcpStream::connect(address).await.is_ok();
            listens(query).await && listens(grpc).await && listens(http).await
        })
        .await;
        Some(jaeger)
    }

    /// The spans that it has of a trace.
    pub(crate) async fn trace(&self, id: &str) -> Vec<Json> {
        let get =
            format!("GET /api/traces/{id} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.query);
        let answer = request(self.query, get).await;
        if answer.status == 404 {
            return Vec::new();
        }
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["data"][0]["spans"].as_array().cloned().unwrap_or_default()
    }
}

impl Drop for Jaeger {
    fn drop(&mut self) {
        _ = self.process.kill();
        _ = self.process.wait();
    }
}

/// Addresses that are free at the moment, all different.
fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners = [(); N].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap())
}
