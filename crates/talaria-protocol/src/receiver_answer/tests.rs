//! What receivers answer, whole and in pieces.

use http::StatusCode;
use proptest::prelude::*;

use super::*;

/// Reads an answer in pieces of this length: its status, how many bytes it has, and what becomes of the connection.
fn read_in(bytes: &[u8], piece: usize) -> Result<Option<(u16, usize, Connection)>, AnswerError> {
    let mut reader = AnswerReader::new(Method::Other);
    let mut before = 0;
    for piece in bytes.chunks(piece) {
        match reader.read(piece)? {
            Progress::Incomplete => before += piece.len(),
            Progress::Complete { head, used, connection } => {
                return Ok(Some((head.status.as_u16(), before + used, connection)));
            }
        }
    }
    Ok(None)
}

/// The same, whole and byte by byte.
#[track_caller]
fn read(bytes: &str) -> Result<Option<(u16, usize, Connection)>, AnswerError> {
    let whole = read_in(bytes.as_bytes(), usize::MAX);
    assert_eq!(whole, read_in(bytes.as_bytes(), 1), "{bytes:?}");
    whole
}

#[test]
fn an_answer_ends_where_its_framing_says() {
    use Connection::{Closed, Kept, KeptForOne};
    for (answer, status, connection) in [
        ("HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n", 202, Kept),
        ("HTTP/1.1 202\r\ncontent-length: 3\r\n\r\nabc", 202, Kept),
        ("\r\n\r\nHTTP/1.1 202 \nContent-Length:3\n\nabc", 202, Kept),
        ("HTTP/1.1 202 A\r\nContent-Length: 2, 2\r\nContent-Length: 2\r\n\r\nab", 202, Kept),
        ("HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", 202, Kept),
        (
            "HTTP/1.1 202 A\r\nTransfer-Encoding: Chunked\r\n\r\na;b=\"c\"\r\n0123456789\r\n0 \r\nX: y\r\n\r\n",
            202,
            Kept,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204, Kept),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", 304, Kept),
        ("HTTP/1.1 202 A\r\nConnection: x, Close\r\nContent-Length: 0\r\n\r\n", 202, Closed),
        ("HTTP/1.0 202 A\r\nContent-Length: 0\r\n\r\n", 202, Closed),
        ("HTTP/1.0 202 A\r\nConnection: Keep-Alive\r\nContent-Length: 1\r\n\r\na", 202, KeptForOne),
        ("HTTP/1.1 101 Switching Protocols\r\n\r\n", 101, Closed),
        (
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n",
            500,
            Kept,
        ),
        // Two readers may see two ends.
        ("HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 202, Closed),
    ] {
        let behind = format!("{answer}HTTP/1.1 500 no part of it");
        assert_eq!(read(&behind), Ok(Some((status, answer.len(), connection))), "{answer:?}");
        assert_eq!(read(&answer[..answer.len() - 1]), Ok(None), "{answer:?}");
    }
}

#[test]
fn a_body_whose_end_is_not_known_is_not_waited_for() {
    let too_long = format!("HTTP/1.1 202 A\r\nContent-Length: {}\r\n\r\n", MAX_BODY + 1);
    for head in [
        "HTTP/1.1 202 A\r\n\r\n",
        "HTTP/1.0 202 A\r\n\r\n",
        "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked, gzip\r\n\r\n",
        "HTTP/1.1 202 A\r\nContent-Length: 99999999999999999999\r\nTransfer-Encoding: gzip\r\n\r\n",
        &*too_long,
    ] {
        assert_eq!(read(head), Ok(Some((202, head.len(), Connection::Closed))), "{head:?}");
    }
}

#[test]
fn a_chunked_body_that_is_broken_closes_the_connection_and_the_head_stays() {
    let head = "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n";
    for body in
        ["\r\n", "x\r\n", "-1\r\n", "1\na", "000000001", "1\r\nab", "1\r\na\n", "0\r\nX: y\n", "1;x\n"]
    {
        let found = read(&format!("{head}{body}")).unwrap();
        assert!(matches!(found, Some((202, _, Connection::Closed))), "{body:?}: {found:?}");
    }
}

#[test]
fn what_is_not_http_is_found_at_once() {
    for (bytes, error) in [
        ("S", AnswerError::NotHttp),
        ("HTTP/2.0 202 A\r\n\r\n", AnswerError::NotHttp),
        ("HTTP/1.1 099 A\r\n\r\n", AnswerError::NotHttp),
        ("HTTP/1.1 2x2 A\r\n\r\n", AnswerError::NotHttp),
        ("HTTP/1.1 202 A\r\nNo colon\r\n\r\n", AnswerError::NotHttp),
        ("HTTP/1.1 202 A\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", AnswerError::Length),
        ("HTTP/1.1 202 A\r\nContent-Length: +1\r\n\r\n", AnswerError::Length),
        ("HTTP/1.1 202 A\r\nContent-Length:\r\n\r\n", AnswerError::Length),
        ("HTTP/1.0 202 A\r\nTransfer-Encoding: chunked\r\n\r\n", AnswerError::TransferEncoding),
    ] {
        assert_eq!(read(bytes), Err(error), "{bytes:?}");
    }
}

#[test]
fn an_answer_to_head_has_no_body() {
    let mut reader = AnswerReader::new(Method::Head);
    let head = b"HTTP/1.1 202 A\r\nContent-Length: 9\r\n\r\n";
    let Ok(Progress::Complete { used, connection, .. }) = reader.read(head) else { panic!("{reader:?}") };
    assert_eq!((used, connection), (head.len(), Connection::Kept));
}

#[test]
fn the_first_location_and_retry_after_are_kept() {
    let answer =
        "HTTP/1.1 307 X\r\nlocation: /a\r\nLocation: /b\r\nRetry-After: 3\r\nContent-Length: 0\r\n\r\n";
    let Ok(Progress::Complete { head, .. }) = AnswerReader::new(Method::Other).read(answer.as_bytes()) else {
        panic!()
    };
    let text = |value: Option<http::HeaderValue>| value.map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(head.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!((text(head.location), text(head.retry_after)), (Some("/a".into()), Some("3".into())));
}

#[test]
fn a_head_has_a_bound_in_bytes_and_headers_also_if_it_never_ends() {
    let long = format!("HTTP/1.1 202 A\r\nX: {}", "x".repeat(MAX_HEAD));
    let interim = "HTTP/1.1 100 Continue\r\n\r\n".repeat(MAX_HEAD / 25 + 1);
    let empty = "\r\n".repeat(MAX_HEAD);
    for endless in [long, interim, empty] {
        for piece in [usize::MAX, 1, 1000] {
            assert_eq!(read_in(endless.as_bytes(), piece), Err(AnswerError::TooLong));
        }
    }
    let many = |count| format!("HTTP/1.1 204 A\r\n{}\r\n", "X: y\r\n".repeat(count));
    assert!(matches!(read(&many(MAX_HEADERS)), Ok(Some((204, ..)))));
    assert_eq!(read(&many(MAX_HEADERS + 1)), Err(AnswerError::TooManyHeaders));
}

#[test]
fn a_chunked_body_has_a_bound_with_its_framing() {
    let head = "HTTP/1.1 202 A\r\nTransfer-Encoding: chunked\r\n\r\n";
    for endless in ["1\r\na\r\n", "1;", "0\r\nX: y\r\n"] {
        let answer =
            format!("{head}{endless}{}", if endless == "1;" { "x" } else { endless }.repeat(MAX_BODY));
        let found = read_in(answer.as_bytes(), 1000);
        assert!(matches!(found, Ok(Some((202, _, Connection::Closed)))), "{endless:?}: {found:?}");
    }
}

#[test]
fn a_head_that_was_read_is_valid_though_the_body_is_cut_off() {
    let mut reader = AnswerReader::new(Method::Other);
    assert_eq!(reader.read(b"HTTP/1.1 202 A\r\nContent-Le"), Ok(Progress::Incomplete));
    assert_eq!(reader.read(b"ngth: 3\r\n\r\nab"), Ok(Progress::Incomplete));
    assert_eq!(reader.end().map(|head| head.status), Some(StatusCode::ACCEPTED));
    let mut reader = AnswerReader::new(Method::Other);
    assert_eq!(reader.read(b"HTTP/1.1 202 A\r\n"), Ok(Progress::Incomplete));
    assert_eq!(reader.end(), None);
}

#[test]
fn answers_one_after_the_other_are_read_by_one_reader() {
    let answers = b"HTTP/1.1 202 A\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 503 B\r\nContent-Length: 0\r\n\r\n";
    let mut reader = AnswerReader::new(Method::Other);
    let (mut at, mut statuses) = (0, Vec::new());
    while at < answers.len() {
        let Ok(Progress::Complete { head, used, .. }) = reader.read(&answers[at..]) else { panic!() };
        statuses.push(head.status.as_u16());
        at += used;
    }
    assert_eq!(statuses, [202, 503]);
}

proptest! {
    #[test]
    fn how_an_answer_is_cut_changes_nothing(
        status in prop::sample::select(vec![100_u16, 101, 202, 204, 307, 503]),
        fields in prop::collection::vec(prop::sample::select(vec![
            "Content-Length: 4", "Transfer-Encoding: chunked", "Connection: close", "Retry-After: 1", "X: y",
        ]), 0..5),
        body in "[0-9a-f\r\n;: x]{0,40}",
        piece in 1_usize..9,
    ) {
        let head: String = fields.iter().flat_map(|field| [field, "\r\n"]).collect();
        let answer = format!("HTTP/1.1 {status} X\r\n{head}\r\n{body}HTTP/1.1 202 A\r\n\r\n");
        let (whole, cut) = (read_in(answer.as_bytes(), usize::MAX), read_in(answer.as_bytes(), piece));
        match (whole, cut) {
            // What is not read is not counted.
            (Ok(Some((a, _, Connection::Closed))), Ok(Some((b, _, Connection::Closed)))) => prop_assert_eq!(a, b),
            (whole, cut) => prop_assert_eq!(whole, cut),
        }
    }

    /// The answers to requests that were sent together come in any pieces: several in one, or one in several.
    #[test]
    fn answers_one_after_the_other_are_read_as_they_were_sent_however_they_are_cut(
        answers in prop::collection::vec((prop::sample::select(vec![202_u16, 204, 401, 429, 500]), 0_usize..3, 0_usize..40), 1..20),
        pieces in prop::collection::vec(1_usize..200, 1..8),
    ) {
        let bytes: String = answers.iter().map(|(status, framing, length)| answer(*status, *framing, *length)).collect();
        let (mut reader, mut statuses, mut rest) = (AnswerReader::new(Method::Other), Vec::new(), bytes.as_bytes());
        for length in pieces.iter().cycle() {
            let (mut piece, behind) = rest.split_at(rest.len().min(*length));
            while !piece.is_empty() {
                match reader.read(piece) {
                    Ok(Progress::Incomplete) => piece = &[],
                    Ok(Progress::Complete { head, used, connection }) => {
                        prop_assert_eq!(connection, Connection::Kept);
                        statuses.push(head.status.as_u16());
                        piece = &piece[used..];
                    }
                    Err(error) => prop_assert!(false, "{error}"),
                }
            }
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(statuses, answers.iter().map(|(status, ..)| *status).collect::<Vec<_>>());
        prop_assert_eq!(reader.end(), None);
    }
}

/// An answer with a body of this length, by its length, in one chunk, or behind an interim answer.
fn answer(status: u16, framing: usize, length: usize) -> String {
    let body = if status == 204 { String::new() } else { "x".repeat(length) };
    match framing {
        0 => format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}", body.len()),
        1 if body.is_empty() => format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"),
        1 => format!(
            "HTTP/1.1 {status} X\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
            body.len()
        ),
        _ => format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 {status} X\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ),
    }
}
