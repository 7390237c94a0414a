//! A minimal gateway that can lose or repeat events and leave out acknowledgements: devices connect by WebSocket, events go by
//! HTTP to one receiver, requests come through an API.

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
    ErrorResponse, Request as Upgrade, Response as Upgraded,
};
use wrp::MessageRef;

/// Events before the first fault. The benchmark's warm-up is shorter.
const FAULTLESS: u64 = 100;

pub(crate) struct TestGateway {
    device: SocketAddr,
    api: SocketAddr,
    /// The address to which it sends events. It is free: the test starts the receiver.
    pub(crate) receiver: SocketAddr,
    pub(crate) faults: Arc<Faults>,
}

/// The number of events that are still to be lost, repeated or not acknowledged.
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
    /// Requests without a response, by their transaction_uuid.
    requests: Mutex<HashMap<String, oneshot::Sender<Vec<u8>>>>,
}

impl TestGateway {
    pub(crate) async fn start() -> Self {
        let listen = async || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let (device, api, receiver) = (listen().await, listen().await, listen().await.local_addr().unwrap());
        let faults = Arc::new(Faults::default());
        let state = Arc::new(State {
            receiver,
            faults: Arc::clone(&faults),
            devices: Mutex::default(),
            requests: Mutex::default(),
        });
        let gateway =
            Self { device: device.local_addr().unwrap(), api: api.local_addr().unwrap(), receiver, faults };
        tokio::spawn(accept(device, Arc::clone(&state), |stream, state| {
            tokio::spawn(serve_device(stream, state))
        }));
        tokio::spawn(accept(api, state, |stream, state| tokio::spawn(serve_api(stream, state))));
        gateway
    }

    pub(crate) fn device_address(&self) -> SocketAddr {
        self.device
    }

    pub(crate) fn device_url(&self) -> String {
        format!("ws://{}/api/v2/device", self.device)
    }

    pub(crate) fn api_url(&self) -> String {
        format!("http://{}", self.api)
    }
}

impl Faults {
    /// Whether the event with this number has the fault of which `left` are to come.
    fn applies(number: u64, left: &AtomicU64) -> bool {
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
    let read_name = |request: &Upgrade, response: Upgraded| -> Result<Upgraded, ErrorResponse> {
        id = request.headers()["x-webpa-device-name"].to_str().unwrap().to_owned();
        Ok(response)
    };
    let Ok(mut socket) = accept_hdr_async(stream, read_name).await else { return };
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
        if let Some(caller) = state.requests.lock().remove(&message.transaction_uuid.to_string()) {
            let _ = caller.send(bytes.to_vec());
        }
        return;
    }
    let faults = &state.faults;
    let number = faults.events.fetch_add(1, Ordering::Relaxed);
    if !Faults::applies(number, &faults.lose) {
        let times = if Faults::applies(number, &faults.repeat) { 2 } else { 1 };
        for _ in 0..times {
            post(state.receiver, bytes).await;
        }
    }
    if message.wants_ack() && !Faults::applies(number, &faults.leave_unacked) {
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
            let message = MessageRef::decode_v3(&body).unwrap();
            let (sender, response) = oneshot::channel();
            state.requests.lock().insert(message.transaction_uuid.to_string(), sender);
            let id = message.dest.to_string().split('/').next().unwrap_or_default().to_owned();
            let _ = state.devices.lock()[&id].send(body.to_vec());
            Ok::<_, hyper::Error>(Response::new(Full::new(Bytes::from(response.await.unwrap_or_default()))))
        }
    });
    let _ = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}
