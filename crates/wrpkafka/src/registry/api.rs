//! The part of the registry's API that a producer needs (Confluent Schema Registry, `POST /subjects/…`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use ureq::Agent;

use super::lookup_error::LookupError;
use crate::config::SchemaRegistry;
use crate::files;
use crate::http_agent;
use crate::schema::Schema;

/// The media type of the API's bodies.
const MEDIA_TYPE: &str = "application/vnd.schemaregistry.v1+json";
/// The longest answer that is read, in bytes. An answer that contains our schema is a tenth of that.
const MAX_BODY: u64 = 64 << 10;
/// The most of a registry's own error text that is kept, in characters.
const MAX_REASON: usize = 300;

/// A client of the registry, with the credentials and authorities that the files held when it was opened.
pub(crate) struct Registry {
    agent: Agent,
    urls: Vec<String>,
    /// Whether schemas are only looked up, not registered.
    look_up: bool,
    authorization: Option<String>,
}

impl Registry {
    /// Reads the files; connects to nothing.
    ///
    /// # Errors
    /// A file that cannot be used, with its key.
    pub(crate) fn open(config: &SchemaRegistry) -> Result<Self, String> {
        let is_https = config.urls.iter().any(|url| url.starts_with("https://"));
        let ca_file = is_https.then_some(("schemaRegistry.caFile", &*config.ca_file));
        let agent = http_agent::open(ca_file, config.timeout)?;
        let urls = config.urls.iter().map(|url| url.trim_end_matches('/').to_owned()).collect();
        let authorization = authorization(config)?;
        Ok(Self { agent, urls, look_up: !config.auto_register, authorization })
    }

    /// The id of a schema under a subject, from the first address that answers.
    pub(crate) fn id(&self, subject: &str, schema: Schema) -> Result<u32, LookupError> {
        let mut unreachable = LookupError::Unreachable("no registry is configured".to_owned());
        for url in &self.urls {
            match self.ask(url, subject, schema) {
                Err(error @ LookupError::Unreachable(_)) => unreachable = error,
                answer => return answer,
            }
        }
        Err(unreachable)
    }

    fn ask(&self, url: &str, subject: &str, schema: Schema) -> Result<u32, LookupError> {
        let mut path = format!("{url}/subjects/{}", http_agent::percent_encoded(subject));
        if !self.look_up {
            path.push_str("/versions");
        }
        let mut body = json!({ "schema": schema.text });
        // Registries that know only Avro reject the key.
        if schema.language != "AVRO" {
            body["schemaType"] = schema.language.into();
        }
        let mut request = self.agent.post(&path).header("accept", MEDIA_TYPE).content_type(MEDIA_TYPE);
        if let Some(authorization) = &self.authorization {
            request = request.header("authorization", authorization);
        }
        let unreachable = |error: ureq::Error| LookupError::Unreachable(format!("{url}: {error}"));
        let mut response = request.send(body.to_string()).map_err(unreachable)?;
        let status = response.status().as_u16();
        let text = response.body_mut().with_config().limit(MAX_BODY).lossy_utf8(true).read_to_string();
        let text = text.map_err(unreachable)?;
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        match status {
            200 => answer["id"].as_u64().and_then(|id| u32::try_from(id).ok()).ok_or_else(|| {
                LookupError::Unreachable(format!("{url}: an answer without an id: {}", short(&text)))
            }),
            408 | 429 | 300..=399 | 500.. => {
                Err(LookupError::Unreachable(format!("{url}: {status}: {}", reason(&answer, &text))))
            }
            _ => Err(LookupError::Rejected { status, reason: reason(&answer, &text) }),
        }
    }
}

/// The header of basic authentication (RFC 7617).
fn authorization(config: &SchemaRegistry) -> Result<Option<String>, String> {
    if config.username.is_empty() {
        return Ok(None);
    }
    let file = match config.password_file.as_str() {
        "" => None,
        path => {
            Some(files::read_for("schemaRegistry.passwordFile", path).map_err(|error| error.to_string())?)
        }
    };
    let password = match &file {
        None => config.password.reveal().as_bytes(),
        // The line break that editors add is not part of the password.
        Some(bytes) => {
            let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
            line.strip_suffix(b"\r").unwrap_or(line)
        }
    };
    let credentials = [config.username.as_bytes(), b":", password].concat();
    Ok(Some(format!("Basic {}", STANDARD.encode(credentials))))
}

/// The registry's text about an error.
fn reason(answer: &Value, text: &str) -> String {
    short(answer["message"].as_str().unwrap_or(text))
}

/// A text on one line, cut to [`MAX_REASON`].
fn short(text: &str) -> String {
    let line: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(MAX_REASON).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_used_is_named_with_its_key() {
        let missing = SchemaRegistry {
            urls: vec!["https://localhost".to_owned()],
            ca_file: "/nonexistent/ca.pem".to_owned(),
            ..SchemaRegistry::default()
        };
        let error = Registry::open(&missing).err().unwrap();
        assert!(error.starts_with("schemaRegistry.caFile: cannot read `/nonexistent/ca.pem`"), "{error}");
        let missing = SchemaRegistry {
            username: "me".to_owned(),
            password_file: "/nonexistent/password".to_owned(),
            ..SchemaRegistry::default()
        };
        let error = Registry::open(&missing).err().unwrap();
        assert!(error.starts_with("schemaRegistry.passwordFile: cannot read"), "{error}");
    }
}
