//! Hands an access token to librdkafka. The crate's own way asks for it on the thread that polls, which must not wait for it.

use std::ffi::{CStr, c_char};

use rdkafka::bindings::{rd_kafka_oauthbearer_set_token, rd_kafka_resp_err_t};
use rdkafka::client::Client;

use super::context::Context;
use crate::token::Token;

/// The most of librdkafka's text about an error, in bytes.
const MAX_TEXT: usize = 512;

/// Brokers are shown this token from now on.
///
/// # Errors
/// Why librdkafka does not take it, in its own words.
#[expect(unsafe_code, reason = "the crate sets a token from within its own callback only")]
pub(super) fn set(client: &Client<Context>, token: &Token) -> Result<(), String> {
    let mut extensions: Vec<*const c_char> = token.extensions.iter().map(|text| text.as_ptr()).collect();
    let mut text = [0; MAX_TEXT];
    // SAFETY: the client is alive, the texts live until the call is over and end with a zero byte, and the sizes are those of
    // the arrays. librdkafka copies what it keeps; the call is thread-safe.
    let code = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.native_ptr(),
            token.value.as_ptr(),
            token.expires_at,
            token.principal.as_ptr(),
            extensions.as_mut_ptr(),
            extensions.len(),
            text.as_mut_ptr().cast(),
            text.len(),
        )
    };
    if code == rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
        return Ok(());
    }
    let text = CStr::from_bytes_until_nul(&text).unwrap_or_default();
    Err(format!("the access token cannot be used: {}", text.to_string_lossy()))
}
