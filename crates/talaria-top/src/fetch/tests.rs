//! Pages from servers that misbehave.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

/// The error of a page from a server that answers each connection with these bytes.
fn fetched(response: &'static [u8]) -> Result<Reading, FetchError> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(response).unwrap();
    });
    let page = page(&agent(std::slice::from_ref(&target), None).unwrap(), &target);
    server.join().unwrap();
    page
}

#[test]
fn an_answer_that_is_no_page_is_an_error_that_says_why() {
    for (response, error) in [
        (&b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"[..], "the answer is 404 Not Found"),
        (
            b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n",
            "the credentials are wrong or missing: http://user:password@host:port",
        ),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "the answer is 302 Found",
        ),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n\xff", "the page is not UTF-8"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\na 1\n", "the page has no metrics of a gateway"),
    ] {
        assert_eq!(fetched(response).unwrap_err().to_string(), error);
    }
    assert!(fetched(b"HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\nx_max_device_count 0").is_ok());
}

#[test]
fn a_page_beyond_64_mib_is_not_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = Target::parse(&listener.local_addr().unwrap().to_string()).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        _ = stream.read(&mut [0; 4096]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
        let comment = [b'#'; 1 << 16];
        // Until the client has closed the connection.
        (0..LONGEST_PAGE >> 15).take_while(|_| stream.write_all(&comment).is_ok()).count()
    });
    let page = page(&agent(std::slice::from_ref(&target), None).unwrap(), &target);
    assert_eq!(page.unwrap_err().to_string(), "the page is longer than 64 MiB");
    let written = server.join().unwrap() as u64;
    assert!(written << 16 < LONGEST_PAGE + (16 << 20), "{written} times 64 KiB");
}

#[test]
fn a_gateway_that_is_not_there_is_an_error() {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let target = Target::parse(&unused.to_string()).unwrap();
    let error = page(&agent(&[], None).unwrap(), &target).unwrap_err().to_string();
    assert!(error.starts_with("Connection refused"), "{error}");
}

#[test]
fn credentials_are_basic_authentication() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let target = Target::parse(&format!("http://user:pass%3Aword@{address}/x")).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = [0; 4096];
        let length = stream.read(&mut request).unwrap();
        stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n").unwrap();
        String::from_utf8_lossy(&request[..length]).into_owned()
    });
    _ = page(&agent(&[], None).unwrap(), &target);
    let request = server.join().unwrap().to_lowercase();
    assert!(request.starts_with("get /x http/1.1\r\n"), "{request}");
    assert!(request.contains("authorization: basic dxnlcjpwyxnzondvcmq=\r\n"), "{request}");
}

#[test]
fn authorities_have_to_be_certificates() {
    let targets = [Target::parse("https://gw1").unwrap()];
    let error = |path| agent(&targets, Some(path)).unwrap_err().to_string();
    assert_eq!(error("/nonexistent.pem"), "/nonexistent.pem: No such file or directory (os error 2)");
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    assert_eq!(error(manifest), format!("{manifest} has no certificate in PEM"));
    assert!(agent(&targets, None).is_ok());
}
