//! A device: one WebSocket to the gateway, spoken by tungstenite.

use std::net::SocketAddr;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio_tungstenite::tungstenite;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};
use wrp::{Message, MessageRef};

/// A connected device. Dropped or [closed](Device::close), it leaves with a close frame.
pub(crate) struct Device {
    id: String,
    outgoing: mpsc::UnboundedSender<Message>,
    seen: Arc<Seen>,
}

/// What came from the gateway.
#[derive(Default)]
struct Seen {
    messages: Mutex<Vec<Message>>,
    has_ended: watch::Sender<bool>,
}

impl Device {
    /// Connects as `id` (`mac:112233445566`).
    pub(crate) async fn connect(gateway: SocketAddr, id: &str) -> Self {
        Self::connect_with(gateway, id, &[]).await
    }

    /// The same with these further headers.
    pub(crate) async fn connect_with(
        gateway: SocketAddr,
        id: &str,
        headers: &[(&'static str, String)],
    ) -> Self {
        let mut request =
            format!("ws://{gateway}/api/v2/device").into_client_request().expect("an address makes a URL");
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().expect("an id is a header value"));
        for (name, value) in headers {
            request.headers_mut().insert(*name, value.parse().expect("a header value"));
        }
        let handshake = Box::pin(tokio_tungstenite::connect_async(request));
        let (socket, _) = handshake.await.expect("the gateway lets the device in");
        Self::on(socket, id)
    }

    /// Connects, if the gateway is there and lets the device in.
    pub(crate) async fn try_connect(gateway: SocketAddr, id: &str) -> Option<Self> {
        let mut request = format!("ws://{gateway}/api/v2/device").into_client_request().ok()?;
        request.headers_mut().insert("X-Webpa-Device-Name", id.parse().ok()?);
        let (socket, _) = Box::pin(tokio_tungstenite::connect_async(request)).await.ok()?;
        Some(Self::on(socket, id))
    }

    fn on(socket: Socket, id: &str) -> Self {
        let (outgoing, queue) = mpsc::unbounded_channel();
        let seen = Arc::new(Seen::default());
        tokio::spawn(run(socket, queue, Arc::clone(&seen)));
        Self { id: id.to_owned(), outgoing, seen }
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// Sends a message, as v3 msgpack.
    pub(crate) fn send(&self, message: Message) {
        self.outgoing.send(message).expect("the device is connected");
    }

    /// The messages that came, which are acknowledgements in these tests.
    pub(crate) fn acks(&self) -> MutexGuard<'_, Vec<Message>> {
        self.seen.messages.lock()
    }

    /// Whether the connection still stands.
    pub(crate) fn is_connected(&self) -> bool {
        !*self.seen.has_ended.borrow()
    }

    /// Waits until the connection has ended.
    pub(crate) async fn ended(&self) {
        // The sender lives as long as this device.
        _ = self.seen.has_ended.subscribe().wait_for(|has_ended| *has_ended).await;
    }

    /// Leaves, after what was sent before.
    pub(crate) fn close(self) {}
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

async fn run(mut socket: Socket, mut outgoing: mpsc::UnboundedReceiver<Message>, seen: Arc<Seen>) {
    loop {
        tokio::select! {
            message = outgoing.recv() => {
                let Some(message) = message else {
                    _ = socket.close(None).await;
                    continue_until_closed(&mut socket).await;
                    break;
                };
                let mut frame = Vec::new();
                message.as_ref().encode_v3(&mut frame);
                if socket.send(tungstenite::Message::binary(frame)).await.is_err() {
                    break;
                }
            }
            received = socket.next() => match received {
                Some(Ok(tungstenite::Message::Binary(frame))) => {
                    let message = MessageRef::decode_v3(&frame).expect("the gateway sends WRP").to_owned();
                    seen.messages.lock().push(message);
                }
                Some(Ok(_)) => {} // a ping: tungstenite answers it
                Some(Err(_)) | None => break,
            }
        }
    }
    seen.has_ended.send_replace(true);
}

async fn continue_until_closed(socket: &mut Socket) {
    while let Some(Ok(_)) = socket.next().await {}
}
