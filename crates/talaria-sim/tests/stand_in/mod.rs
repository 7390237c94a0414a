//! The least of a gateway: devices by WebSocket, their events by HTTP to one receiver, acks, requests.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::handshake::server::{
    ErrorResponse, Request as Hello, Response as Welcome,
};
use wrp::MessageRef;

/// Events passed on faultlessly before the faults begin: the benchmark's warm-up.
const FAULTLESS: u64 = 100;

pub(crate) struct StandIn {
    device: SocketAddr,
    api: SocketAddr,
    /// Where it sends events, and nobody listens yet.
    pub(crate) receiver: SocketAddr,
    pub(crate) faults: Arc<Faults>,
}

/// How many events are yet to be treated badly, each in one way.
#[derive(Default)]
pub(crate) struct Faults {
    events: AtomicU64,
    pub(crate) lose: AtomicU64,
    pub(crate) repeat: AtomicU64,
    pub(crate) leave_unacked: AtomicU64,
}

struct State {
    receiver: SocketAddr,
    faults: Arc<Faults>,
    devices: Mutex<HashMap<String, mpsc::UnboundedSender<Vec<u8>>>>,
    waiting: Mutex<HashMap<String, oneshot::Sender<Vec<u8>>>>,
}

impl StandIn {
    pub(crate) async fn start() -> Self {
        let listen = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (device, api, receiver) = (listen().await, listen().await, listen().await.local_addr().unwrap());
        let faults = Arc::new(Faults::default());
        let state = Arc::new(State {
            receiver,
            faults: Arc::clone(&faults),
            devices: Mutex::default(),
            waiting: Mutex::default(),
        });
        let stand_in =
            Self { device: device.local_addr().unwrap(), api: api.local_addr().unwrap(), receiver, faults };
        tokio::spawn(accept(device, Arc::clone(&state), |stream, state| {
            tokio::spawn(serve_device(stream, state))
        }));
        tokio::spawn(accept(api, state, |stream, state| tokio::spawn(serve_api(stream, state))));
        stand_in
    }

    pub(crate) fn device_url(&self) -> String {
        format!("ws://{}/api/v2/device", self.device)
    }

    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }
}

impl Faults {
    /// Whether the fault counted down by `left` befalls the event of this number.
    fn strikes(number: u64, left: &AtomicU64) -> bool {
        number >= FAULTLESS
            && left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok()
    }
}

async fn accept<T>(listener: TcpListener, state: Arc<State>, serve: impl Fn(TcpStream, Arc<State>) -> T) {
    while let Ok((stream, _)) = listener.accept().await {
        serve(stream, Arc::clone(&state));
    }
}

#[expect(clippy::result_large_err, reason = "the callback's type is tungstenite's")]
async fn serve_device(stream: TcpStream, state: Arc<State>) {
    let mut id = String::new();
    let look = |hello: &Hello, welcome: Welcome| -> Result<Welcome, ErrorResponse> {
        id = hello.headers()["x-webpa-device-name"].to_str().unwrap().to_owned();
        Ok(welcome)
    };
    let Ok(mut socket) = accept_hdr_async(stream, look).await else { return };
    let (sender, mut outbox) = mpsc::unbounded_channel();
    state.devices.lock().insert(id.clone(), sender.clone());
    post(state.receiver, &status_event(&id, "online")).await;
    loop {
        tokio::select! {
            Some(message) = outbox.recv() => if socket.send(Frame::binary(message)).await.is_err() { break },
            frame = socket.next() => match frame {
                Some(Ok(Frame::Binary(message))) => on_message(&state, &sender, &message).await,
                Some(Ok(_)) => {}
                _ => break,
            },
        }
    }
    drop(socket);
    post(state.receiver, &status_event(&id, "offline")).await;
}

async fn on_message(state: &State, outbox: &mpsc::UnboundedSender<Vec<u8>>, bytes: &[u8]) {
    let message = MessageRef::decode_v3(bytes).unwrap();
    if message.is_transaction_part() {
        if let Some(caller) = state.waiting.lock().remove(&message.transaction_uuid.to_string()) {
            let _ = caller.send(bytes.to_vec());
        }
        return;
    }
    let faults = &state.faults;
    let number = faults.events.fetch_add(1, Ordering::Relaxed);
    if !Faults::strikes(number, &faults.lose) {
        let times = if Faults::strikes(number, &faults.repeat) { 2 } else { 1 };
        for _ in 0..times {
            post(state.receiver, bytes).await;
        }
    }
    if message.wants_ack() && !Faults::strikes(number, &faults.leave_unacked) {
        let ack = MessageRef { rdr: Some(0), dest: message.source, payload: None, ..message };
        let mut out = vec![];
        ack.encode_v3(&mut out);
        let _ = outbox.send(out);
    }
}

fn status_event(id: &str, state: &str) -> Vec<u8> {
    let (dest, mut out) = (format!("event:device-status/{id}/{state}"), vec![]);
    MessageRef { dest: dest.as_str().into(), ..MessageRef::default() }.encode_v3(&mut out);
    out
}

async fn post(receiver: SocketAddr, event: &[u8]) {
    let stream = TcpStream::connect(receiver).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("/").body(Full::new(Bytes::copy_from_slice(event))).unwrap();
    assert_eq!(sender.send_request(request).await.unwrap().status(), StatusCode::ACCEPTED);
}

async fn serve_api(stream: TcpStream, state: Arc<State>) {
    let service = service_fn(|request: Request<Incoming>| {
        let state = Arc::clone(&state);
        async move {
            let body = request.into_body().collect().await?.to_bytes();
            let question = MessageRef::decode_v3(&body).unwrap();
            let (sender, answer) = oneshot::channel();
            state.waiting.lock().insert(question.transaction_uuid.to_string(), sender);
            let id = question.dest.to_string().split('/').next().unwrap_or_default().to_owned();
            let _ = state.devices.lock()[&id].send(body.to_vec());
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(answer.await.unwrap_or_default()))))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
