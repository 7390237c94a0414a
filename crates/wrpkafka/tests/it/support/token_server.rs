//! A token server inside the process: it gives unsecured tokens (RFC 7519 §6), which brokers accept that do not check signatures.

use std::io::{BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::Mutex;
use serde_json::json;

pub(crate) const CLIENT: &str = "gateway";
pub(crate) const SECRET: &str = "s3cr3t-of-the-client";

/// What a token server answers.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    /// A token that is valid for so many seconds.
    Token { seconds: u64 },
    /// A token that the broker does not accept, since it has no end.
    EndlessToken,
    /// A status.
    Status(u16),
}

pub(crate) struct TokenServer {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    answer: Mutex<Answer>,
    given: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl TokenServer {
    pub(crate) fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = Arc::new(State {
            answer: Mutex::new(answer),
            given: AtomicUsize::new(0),
            requests: Mutex::default(),
        });
        let address = listener.local_addr().unwrap();
        let serving = Arc::clone(&state);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || state.serve(&stream.unwrap()));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/token", self.address)
    }

    pub(crate) fn set(&self, answer: Answer) {
        *self.state.answer.lock() = answer;
    }

    /// How many tokens it has given.
    pub(crate) fn given(&self) -> usize {
        self.state.given.load(Ordering::Relaxed)
    }

    /// The last request: head and body.
    pub(crate) fn last_request(&self) -> String {
        self.state.requests.lock().last().cloned().unwrap()
    }
}

impl State {
    /// Answers the requests of a connection.
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        while let Some(request) = read_request(&mut reader) {
            self.requests.lock().push(request);
            let (status, body) = match *self.answer.lock() {
                Answer::Token { seconds } => (200, self.token(seconds, Some(now() + seconds))),
                Answer::EndlessToken => (200, self.token(3600, None)),
                Answer::Status(status) => (status, json!({ "error": "temporarily_unavailable" }).to_string()),
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
                body.len()
            );
            if (&*stream).write_all(format!("{head}{body}").as_bytes()).is_err() {
                return;
            }
        }
    }

    fn token(&self, expires_in: u64, end: Option<u64>) -> String {
        self.given.fetch_add(1, Ordering::Relaxed);
        let claims = json!({ "sub": CLIENT, "iat": now(), "exp": end }).to_string();
        let encode = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.", encode(r#"{"alg":"none"}"#), encode(&claims));
        json!({ "access_token": token, "token_type": "Bearer", "expires_in": expires_in }).to_string()
    }
}

/// In seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// The next request, or none at the end.
fn read_request(reader: &mut impl std::io::BufRead) -> Option<String> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = head
        .lines()
        .find_map(|line| line.to_lowercase().strip_prefix("content-length:")?.trim().parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).unwrap())
}
