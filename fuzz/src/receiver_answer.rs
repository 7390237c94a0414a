//! The answer of an event receiver by HTTP/1.1: any bytes, cut anywhere.
//!
//! The input: how the answer is cut (one byte), the answer. How it is cut may not change what is read, also of the answers
//! behind it, to requests that were sent together. For answers with a length, the oracle is `httparse` with the length by itself.

use talaria_protocol::receiver_answer::{
    AnswerError, AnswerReader, Connection, MAX_BODY, MAX_HEAD, MAX_HEADERS, Method, Progress,
};

use crate::allocation;
use crate::cost::Cost;

static WHOLE: Cost = Cost::measured("answer", 30);
static PIECES: Cost = Cost::measured("answer in pieces", 300);

/// What a reader holds at most beside a copy of the bytes of one read: a torn head, whose memory grows by doubling.
const HELD: usize = 4 * MAX_HEAD;

/// What was read of an answer: its status, how many bytes it has, and what becomes of the connection.
type Found = Result<Option<(u16, usize, Connection)>, AnswerError>;

/// One input.
pub fn run(data: &[u8]) {
    let [cut, answer @ ..] = data else { return };
    let (whole, peak) = WHOLE.hold(answer.len(), || allocation::peak(|| read(answer, usize::MAX)));
    assert!(peak <= 3 * answer.len() + HELD, "{peak} bytes for {}", answer.len());
    let piece = 1 + usize::from(*cut);
    let (pieces, peak) = PIECES.hold(answer.len(), || allocation::peak(|| read(answer, piece)));
    assert!(peak <= HELD, "{peak} bytes for pieces of {piece}");
    match (whole, pieces) {
        // A long head is not parsed with each piece, but no answer comes of it.
        (Err(_), Err(_) | Ok(None)) => {}
        // Behind the head nothing is read.
        (Ok(Some((status, _, Connection::Closed))), Ok(Some((other, _, Connection::Closed)))) => {
            assert_eq!(status, other);
        }
        (whole, pieces) => assert_eq!(whole, pieces, "cut into pieces of {piece}"),
    }
    let (all, in_pieces) = (read_all(answer, usize::MAX), read_all(answer, piece));
    let common = all.len().min(in_pieces.len());
    assert_eq!(all[..common], in_pieces[..common], "answers in pieces of {piece}");
    if let Ok(Some((status, length, Connection::Kept | Connection::KeptForOne))) = whole {
        assert!(length <= answer.len() && length <= MAX_HEAD + MAX_BODY);
        if let Some(expected) = length_of(answer, status) {
            assert_eq!(length, expected, "it ends elsewhere");
        }
    }
}

fn read(answer: &[u8], piece: usize) -> Found {
    let mut reader = AnswerReader::new(Method::Other);
    let mut before = 0;
    for piece in answer.chunks(piece.min(answer.len().max(1))) {
        match reader.read(piece)? {
            Progress::Incomplete => before += piece.len(),
            Progress::Complete { head, used, connection } => {
                assert!(used <= piece.len());
                return Ok(Some((head.status.as_u16(), before + used, connection)));
            }
        }
    }
    Ok(None)
}

/// The statuses of the answers one after the other, up to one behind which nothing can be read.
fn read_all(answers: &[u8], piece: usize) -> Vec<u16> {
    let mut reader = AnswerReader::new(Method::Other);
    let mut statuses = Vec::new();
    for mut piece in answers.chunks(piece.min(answers.len().max(1))) {
        while !piece.is_empty() {
            match reader.read(piece) {
                Ok(Progress::Incomplete) => break,
                Ok(Progress::Complete { head, used, connection }) => {
                    statuses.push(head.status.as_u16());
                    if connection == Connection::Closed {
                        return statuses;
                    }
                    piece = &piece[used..];
                }
                Err(_) => return statuses,
            }
        }
    }
    statuses
}

/// The length of an answer that has one number for the length of its body; none if that is not simple.
fn length_of(mut answer: &[u8], status: u16) -> Option<usize> {
    let whole = answer.len();
    loop {
        let mut fields = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut fields);
        // Lines before the status line are skipped in another way, but the same ones where both accept them.
        let Ok(httparse::Status::Complete(head)) = response.parse(answer) else { return None };
        let code = response.code?;
        let lengths =
            response.headers.iter().filter(|field| field.name.eq_ignore_ascii_case("content-length"));
        let mut lengths =
            lengths.map(|field| std::str::from_utf8(field.value).ok()?.trim().parse::<usize>().ok());
        let (length, is_single) = (lengths.next().flatten(), lengths.next().is_none());
        let is_coded =
            response.headers.iter().any(|field| field.name.eq_ignore_ascii_case("transfer-encoding"));
        answer = &answer[head..];
        if (100..200).contains(&code) {
            continue;
        }
        assert_eq!(code, status, "another answer");
        let body =
            if matches!(code, 204 | 304) { Some(0) } else { length.filter(|_| is_single && !is_coded) };
        return Some(whole - answer.len() + body?);
    }
}
