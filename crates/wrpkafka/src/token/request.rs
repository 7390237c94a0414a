//! A request for an access token (RFC 6749 §4.4), and its answer.

use std::ffi::CString;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use ureq::Agent;

use super::issued::Token;
use crate::config::OAuth2;
use crate::{files, http_agent};

/// The time limit of a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The longest answer that is read, in bytes.
const MAX_ANSWER: u64 = 64 << 10;
/// How long a token is valid if the answer does not say so.
const DEFAULT_LIFE: Duration = Duration::from_secs(300);
/// What is believed of the life of a token, in seconds. Below it, tokens would be fetched all the time.
const LIVES: (f64, f64) = (5.0, 24.0 * 60.0 * 60.0);
/// The most that is shown of a token server's own text about an error, in characters.
const MAX_REASON: usize = 100;

const SECRET_FILE: &str = "sasl.oauth2.clientSecretFile";

/// Why there is no token. The text does not show secrets.
#[derive(Debug, thiserror::Error)]
pub(super) enum TokenError {
    #[error("{0}")]
    File(String),
    #[error("the token server cannot be asked: {0}")]
    Request(Box<ureq::Error>),
    #[error("the token server answered with {status} {reason}")]
    Status { status: u16, reason: String },
    #[error("the answer of the token server has no access token of the type Bearer")]
    Answer,
}

/// A token server, and what it is asked for.
pub(super) struct TokenServer {
    agent: Agent,
    config: OAuth2,
    principal: CString,
    extensions: Vec<CString>,
}

impl TokenServer {
    /// Reads the authorities and checks the secret's file; connects to nothing.
    ///
    /// # Errors
    /// A file that cannot be used, with its key.
    pub(super) fn open(config: &OAuth2) -> Result<Self, String> {
        let is_https = config.token_url.starts_with("https:");
        let agent = http_agent::open(is_https.then_some(("sasl.oauth2.caFile", &*config.ca_file)), TIMEOUT)?;
        let texts = config.extensions.iter().flat_map(|(name, value)| [name, value]);
        let extensions = texts.map(|text| CString::new(text.as_str())).collect::<Result<_, _>>();
        let principal = CString::new(config.client_id.as_str());
        let zero = |_| "sasl.oauth2 contains a zero byte".to_owned();
        let server = Self {
            agent,
            config: config.clone(),
            principal: principal.map_err(zero)?,
            extensions: extensions.map_err(zero)?,
        };
        server.secret().map_err(|error| error.to_string())?;
        Ok(server)
    }

    /// Asks for a token at this time. Returns it with its life.
    pub(super) fn token(&self, time: SystemTime) -> Result<(Token, Duration), TokenError> {
        let secret = self.secret()?;
        let OAuth2 { token_url, client_id, scopes, audience, .. } = &self.config;
        let scope = scopes.join(" ");
        let mut form = vec![("grant_type", "client_credentials")];
        form.extend(
            [("scope", &*scope), ("audience", audience)].into_iter().filter(|(_, text)| !text.is_empty()),
        );
        let request = self.agent.post(token_url).header("accept", "application/json");
        let request = request.header("authorization", basic(client_id, &secret));
        let failed = |error| TokenError::Request(Box::new(error));
        let mut response = request.send_form(form).map_err(failed)?;
        let status = response.status().as_u16();
        let body = response.body_mut().with_config().limit(MAX_ANSWER).read_to_vec().map_err(failed)?;
        let answer: Value = serde_json::from_slice(&body).unwrap_or_default();
        if status != 200 {
            return Err(TokenError::Status { status, reason: reason(&answer) });
        }
        let (value, life) = read(&answer).ok_or(TokenError::Answer)?;
        let expires_at = (time + life).duration_since(UNIX_EPOCH).unwrap_or_default();
        let token = Token {
            value,
            principal: self.principal.clone(),
            expires_at: i64::try_from(expires_at.as_millis()).unwrap_or(i64::MAX),
            extensions: self.extensions.clone(),
        };
        Ok((token, life))
    }

    fn secret(&self) -> Result<String, TokenError> {
        let path = &*self.config.client_secret_file;
        if path.is_empty() {
            return Ok(self.config.client_secret.reveal().to_owned());
        }
        let bytes =
            files::read_for(SECRET_FILE, path).map_err(|error| TokenError::File(error.to_string()))?;
        let text = String::from_utf8(bytes)
            .map_err(|_| TokenError::File(format!("{SECRET_FILE}: `{path}` is not in UTF-8")))?;
        Ok(text.trim_end_matches(['\r', '\n']).to_owned())
    }
}

/// The token and its life in an answer (RFC 6749 §5.1).
fn read(answer: &Value) -> Option<(CString, Duration)> {
    let is_bearer = answer["token_type"].as_str()?.eq_ignore_ascii_case("bearer");
    let token = answer["access_token"].as_str().filter(|token| is_bearer && !token.is_empty())?;
    let seconds = answer["expires_in"].as_f64();
    let life = seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(LIVES.0, LIVES.1)));
    Some((CString::new(token).ok()?, life.unwrap_or(DEFAULT_LIFE)))
}

/// The code of an error (RFC 6749 §5.2). Its description may hold what was sent.
fn reason(answer: &Value) -> String {
    let code = answer["error"].as_str().unwrap_or_default();
    code.chars().filter(|c| !c.is_control()).take(MAX_REASON).collect()
}

/// The id and the secret, encoded as in a form (RFC 6749 §2.3.1).
fn basic(id: &str, secret: &str) -> String {
    let pair = format!("{}:{}", http_agent::percent_encoded(id), http_agent::percent_encoded(secret));
    format!("Basic {}", STANDARD.encode(pair))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_life_of_a_token_has_bounds() {
        for (expires_in, seconds) in [
            (json!(3600), 3600.0),
            (json!(null), 300.0),
            (json!("3600"), 300.0),
            (json!(-5), 5.0),
            (json!(0), 5.0),
            (json!(1e300), 86_400.0),
        ] {
            let answer = json!({ "access_token": "t", "token_type": "bearer", "expires_in": expires_in });
            let (token, life) = read(&answer).unwrap();
            assert_eq!((token.to_str(), life.as_secs_f64()), (Ok("t"), seconds), "{expires_in}");
        }
    }

    #[test]
    fn what_is_no_bearer_token_is_refused() {
        for answer in [
            json!(null),
            json!([]),
            json!({ "access_token": "t" }),
            json!({ "access_token": "t", "token_type": "mac" }),
            json!({ "access_token": "", "token_type": "bearer" }),
            json!({ "access_token": "a\0b", "token_type": "bearer" }),
            json!({ "access_token": 5, "token_type": "bearer" }),
        ] {
            assert_eq!(read(&answer), None, "{answer}");
        }
    }

    #[test]
    fn id_and_secret_are_encoded_as_in_a_form() {
        assert_eq!(basic("a:b", "c d"), format!("Basic {}", STANDARD.encode("a%3Ab:c%20d")));
    }

    #[test]
    fn an_error_shows_its_code_only() {
        let answer = json!({ "error": "invalid_client\n", "error_description": "wrong secret hunter2" });
        assert_eq!(reason(&answer), "invalid_client");
    }
}
