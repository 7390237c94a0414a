//! Records that come in pieces, are many, or were damaged.

use super::*;

#[tokio::test]
async fn large_bodies_pass_whole_in_both_directions() {
    let authority = Authority::new();
    // On a busy machine a body may take long.
    let fixture = start(Config { read_timeout: Some(Duration::from_secs(60)), ..config(tls(&authority)) });
    let body: Vec<u8> = (0..LARGEST).map(|at| (at % 251) as u8).collect();
    for version in [&TLS12, &TLS13] {
        let socket = fixture.connect(authority.client(None, &[version])).await.unwrap();
        assert_eq!(socket.get_ref().1.protocol_version(), Some(version.version));
        let mut client = Client::over(socket);
        for _ in 0..2 {
            client.send(format!("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: {LARGEST}\r\n\r\n")).await;
            client.send(&body).await;
            let response = client.response().await;
            assert_eq!((response.status, response.body.len()), (200, LARGEST), "{:?}", version.version);
            assert!(response.body == body, "{:?}", version.version);
        }
    }
}

#[tokio::test]
async fn records_that_come_byte_by_byte_are_put_together() {
    let authority = Authority::new();
    let fixture = start(config(tls(&authority)));
    let (relay, near) = tokio::io::duplex(1 << 20);
    let address = fixture.address();
    tokio::spawn(async move {
        let (mut from_client, mut to_client) = tokio::io::split(relay);
        let server = TcpStream::connect(address).await.unwrap();
        server.set_nodelay(true).unwrap();
        let (mut from_server, mut to_server) = server.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        while let Ok(byte) = from_client.read_u8().await {
            to_server.write_u8(byte).await.unwrap();
            tokio::task::yield_now().await;
        }
    });
    let connector = TlsConnector::from(Arc::new(plain_client(&authority)));
    let socket = connector.connect(ServerName::try_from("talaria.test").unwrap(), near).await.unwrap();
    let mut client = Client::over(socket);
    client.send("POST / HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\n\r\nhello").await;
    client.socket.flush().await.unwrap();
    assert_eq!(client.response().await.text(), "hello");
}

#[tokio::test]
async fn a_record_that_was_tampered_with_ends_its_connection_only() {
    let authority = Authority::new();
    let fixture = start(config(tls(&authority)));
    let mut client = Client::over(fixture.connect(plain_client(&authority)).await.unwrap());
    client.send(GET).await;
    assert_eq!(client.response().await.status, 200);
    let (tcp, _) = client.socket.get_mut();
    tcp.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
    tcp.write_all(&[7; 32]).await.unwrap();
    assert!(client.rest().await.is_empty());
    assert_eq!(fixture.ask(plain_client(&authority)).await, Ok(200));
}

thread_local! {
    /// The server's tasks run on the test's own thread.
    static PANICS: Cell<usize> = const { Cell::new(0) };
}

#[tokio::test]
async fn no_damage_to_what_a_client_sends_makes_a_session_panic() {
    let ordinary = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICS.set(PANICS.get() + 1);
        ordinary(info);
    }));
    let authority = Authority::new();
    let fixture = start(config(tls::Config { client_ca: Some(authority.ca()), ..tls(&authority) }));
    let certificate = authority.issue(&["device"]);
    let mut answered = 0;
    for round in 0_usize..240 {
        let version = if round.is_multiple_of(2) { &TLS13 } else { &TLS12 };
        let client = authority.client(Some(&certificate), &[version]);
        let (near, far) = tokio::io::duplex(1 << 16);
        // Flips a bit, doubles a byte or drops one, ever further into what the client sends.
        let relaying = tokio::spawn(relay(far, fixture.address(), round * 7, round % 3));
        let name = ServerName::try_from("talaria.test").unwrap();
        let asking = async {
            let socket = TlsConnector::from(Arc::new(client)).connect(name, near).await.ok()?;
            let mut client = Client::over(socket);
            client.socket.write_all(GET.as_bytes()).await.ok()?;
            client.socket.flush().await.ok()?;
            client.next_response().await
        };
        answered += usize::from(
            tokio::time::timeout(Duration::from_millis(100), asking).await.is_ok_and(|r| r.is_some()),
        );
        relaying.abort();
    }
    println!("{answered} of 240 damaged connections came as far as an answer");
    assert_eq!(PANICS.get(), 0);
    assert_eq!(fixture.ask(authority.client(Some(&certificate), &[&TLS13])).await, Ok(200));
}

/// Passes bytes between a client and the server, with one byte of the client's damaged.
async fn relay(client: tokio::io::DuplexStream, server: SocketAddr, at: usize, damage: usize) {
    let server = TcpStream::connect(server).await.unwrap();
    server.set_nodelay(true).unwrap();
    let (mut from_server, mut to_server) = server.into_split();
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let upward = async {
        let (mut passed, mut buffer) = (0, Vec::new());
        while from_client.read_buf(&mut buffer).await.is_ok_and(|count| count > 0) {
            let count = buffer.len();
            if (passed..passed + count).contains(&at) {
                match damage {
                    0 => buffer[at - passed] ^= 0x10,
                    1 => buffer.insert(at - passed, 0x17),
                    _ => drop(buffer.remove(at - passed)),
                }
            }
            passed += count;
            if to_server.write_all(&buffer).await.is_err() {
                return;
            }
            buffer.clear();
        }
    };
    tokio::join!(upward, async { drop(tokio::io::copy(&mut from_server, &mut to_client).await) });
}
