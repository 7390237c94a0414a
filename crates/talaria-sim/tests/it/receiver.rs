//! The event receiver, with requests as a gateway sends them.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use talaria_sim::receiver::Receiver;
use talaria_sim::run::RunId;
use talaria_sim::tally::Tally;
use tokio::net::TcpStream;
use wrp::MessageRef;

#[tokio::test]
async fn events_are_counted_and_answered_with_the_status_that_was_set() {
    let tally = Arc::new(Tally::default());
    let receiver = Receiver::bind("127.0.0.1:0".parse().unwrap(), Arc::clone(&tally) as _).await.unwrap();
    let stream = TcpStream::connect(receiver.address()).await.unwrap();
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut post = async |body: Vec<u8>| {
        sender.ready().await.unwrap();
        let request = Request::post(receiver.url()).body(Full::new(Bytes::from(body))).unwrap();
        sender.send_request(request).await.unwrap().status()
    };
    let event = |sequence| {
        let (key, mut out) = (RunId::new(1).key(sequence).to_string(), vec![]);
        MessageRef { transaction_uuid: key.as_str().into(), ..MessageRef::default() }.encode_v3(&mut out);
        out
    };

    assert_eq!(post(event(0)).await, StatusCode::ACCEPTED);
    assert_eq!(post(event(0)).await, StatusCode::ACCEPTED);
    receiver.set_answer(StatusCode::SERVICE_UNAVAILABLE, Duration::from_millis(1));
    assert_eq!(post(event(1)).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(post(b"\xc1".to_vec()).await, StatusCode::SERVICE_UNAVAILABLE);
    let totals = tally.totals();
    assert_eq!((totals.events, totals.duplicated, totals.missing, totals.undecodable), (2, 1, 0, 1));
}
