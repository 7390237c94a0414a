//! One call of gRPC: a message in, a message out, over HTTP/2
//! (<https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md>).

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;

use super::connection::Reply;
use super::export_error::ExportError;

/// A byte that says whether the message is compressed, and its length.
const PREFIX: usize = 5;

/// The longest text of an error that is kept.
const MAX_TEXT: usize = 256;

/// The body of a request with this message.
pub(super) fn frame(message: &[u8]) -> Bytes {
    let mut body = BytesMut::with_capacity(PREFIX + message.len());
    body.put_u8(0);
    // A batch is smaller than 4 GiB.
    body.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    body.put_slice(message);
    body.freeze()
}

/// The message of an answer.
pub(super) fn answer(reply: &Reply) -> Result<&[u8], ExportError> {
    // An answer without a message has its status in the headers.
    let code = status(&reply.trailers).or_else(|| status(&reply.headers)).ok_or(ExportError::Body)?;
    if code != 0 {
        let message = reply.trailers.get("grpc-message").or_else(|| reply.headers.get("grpc-message"));
        let message = message.map_or(&b""[..], |message| message.as_bytes());
        let message = String::from_utf8_lossy(&message[..message.len().min(MAX_TEXT)]).into_owned();
        return Err(ExportError::Grpc { code, message });
    }
    Ok(reply.body.get(PREFIX..).unwrap_or_default())
}

fn status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}
