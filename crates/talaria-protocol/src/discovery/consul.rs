//! What Consul's answers mean: instances, the index of a blocking query, errors (contract §11.5).
//!
//! The sources are Consul's documentation of its HTTP API (`/v1/health/service`, "Blocking Queries") and the client of the
//! Go Talaria, whose texts of errors are kept.

use serde::Deserialize;

/// One instance of `/v1/health/service/<name>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The id of its registration.
    pub id: String,
    /// `address:port`, with the node's address where the service has none.
    pub instance: String,
}

/// An answer that is not what Consul's documentation says.
#[derive(Debug, thiserror::Error)]
#[error("the answer is not a list of instances: {0}")]
pub struct AnswerError(#[from] serde_json::Error);

/// The index of a blocking query, which Consul raises with each change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Index(u64);

/// Why the index of an answer cannot be used. The next query does not wait. The texts are the reference's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// Consul was restored from a snapshot, or another one answers.
    #[error("Index went backwards")]
    Backwards,
    /// The answer has none, or 0, with which no query would ever wait.
    #[error("Index was zero")]
    Zero,
}

/// What a status other than 200 means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// Consul, or what is before it, has trouble of its own: it may answer again.
    Trouble,
    /// Consul refuses the request, for instance for want of a permission.
    Refusal,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawEntry {
    #[serde(default)]
    node: RawNode,
    service: RawService,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawNode {
    #[serde(default)]
    address: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawService {
    #[serde(default, rename = "ID")]
    id: String,
    #[serde(default)]
    address: String,
    #[serde(default)]
    port: u16,
    /// Null without tags.
    #[serde(default)]
    tags: Option<Vec<String>>,
}

impl Index {
    /// The value for the next query; none for one that does not wait.
    #[must_use]
    pub fn for_query(self) -> Option<u64> {
        (self.0 > 0).then_some(self.0)
    }

    /// Takes the index of an answer.
    ///
    /// # Errors
    /// [`IndexError`]; the next query does not wait then.
    pub fn take(&mut self, answered: Option<u64>) -> Result<(), IndexError> {
        let former = std::mem::take(self).0;
        let answered = answered.unwrap_or(0);
        if answered < former {
            return Err(IndexError::Backwards);
        }
        if answered == 0 {
            return Err(IndexError::Zero);
        }
        self.0 = answered;
        Ok(())
    }

    /// Forgets the index: after an error the next query does not wait.
    pub fn reset(&mut self) {
        self.0 = 0;
    }
}

impl StatusClass {
    /// What a status means.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status {
            // Too slow, or too many requests at the moment.
            408 | 429 => Self::Trouble,
            400..=499 => Self::Refusal,
            _ => Self::Trouble,
        }
    }
}

/// The instances of an answer that have all of these tags.
///
/// # Errors
/// [`AnswerError`] if it is no list of instances.
pub fn entries(body: &[u8], tags: &[String]) -> Result<Vec<Entry>, AnswerError> {
    let raw: Option<Vec<RawEntry>> = serde_json::from_slice(body)?;
    let has_tags = |entry: &RawEntry| {
        let own = entry.service.tags.as_deref().unwrap_or_default();
        tags.iter().all(|tag| own.contains(tag))
    };
    let entries = raw.unwrap_or_default().into_iter().filter(has_tags).map(|entry| {
        let RawService { id, address, port, .. } = entry.service;
        let address = if address.is_empty() { entry.node.address } else { address };
        Entry { id, instance: format!("{address}:{port}") }
    });
    Ok(entries.collect())
}

/// The names of `/v1/catalog/datacenters`.
///
/// # Errors
/// [`AnswerError`] if it is no list of names.
pub fn datacenters(body: &[u8]) -> Result<Vec<String>, AnswerError> {
    let names: Option<Vec<String>> = serde_json::from_slice(body)?;
    Ok(names.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_has_the_address_of_its_service_or_of_its_node() {
        let body = br#"[
            {"Node": {"Node": "n1", "Address": "10.0.0.1"}, "Checks": [],
             "Service": {"ID": "t1", "Service": "talaria", "Tags": ["dev", "x"], "Address": "talaria-1", "Port": 6200}},
            {"Node": {"Address": "10.0.0.2"}, "Service": {"ID": "t2", "Tags": ["dev"], "Port": 6200}},
            {"Node": {"Address": "10.0.0.3"}, "Service": {"ID": "t3", "Tags": null}}
        ]"#;
        let instances = |tags: &[&str]| {
            let tags: Vec<String> = tags.iter().map(|tag| (*tag).to_owned()).collect();
            entries(body, &tags).unwrap().into_iter().map(|entry| entry.instance).collect::<Vec<_>>()
        };
        assert_eq!(instances(&[]), ["talaria-1:6200", "10.0.0.2:6200", "10.0.0.3:0"]);
        assert_eq!(instances(&["dev"]), ["talaria-1:6200", "10.0.0.2:6200"]);
        assert_eq!(instances(&["dev", "x"]), ["talaria-1:6200"]);
    }

    #[test]
    fn null_is_an_empty_list_and_anything_else_is_an_error() {
        assert_eq!(entries(b"null", &[]).unwrap(), []);
        assert_eq!(datacenters(br#"["dc1", "dc2"]"#).unwrap(), ["dc1", "dc2"]);
        for body in [&b""[..], b"{}", b"[{}]", b"[1]", b"<html>", br#"[{"Service": {"Port": 70000}}]"#] {
            assert!(entries(body, &[]).is_err(), "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn an_index_that_goes_backwards_or_is_zero_starts_over() {
        let mut index = Index::default();
        assert_eq!(index.for_query(), None);
        assert_eq!((index.take(Some(7)), index.for_query()), (Ok(()), Some(7)));
        assert_eq!((index.take(Some(7)), index.for_query()), (Ok(()), Some(7)));
        assert_eq!((index.take(Some(6)), index.for_query()), (Err(IndexError::Backwards), None));
        assert_eq!((index.take(Some(6)), index.for_query()), (Ok(()), Some(6)));
        assert_eq!((index.take(None), index.for_query()), (Err(IndexError::Backwards), None));
        assert_eq!(index.take(Some(0)), Err(IndexError::Zero));
    }

    #[test]
    fn consuls_own_trouble_is_no_refusal() {
        assert!(
            [500, 502, 503, 429, 408, 302]
                .into_iter()
                .all(|status| StatusClass::of(status) == StatusClass::Trouble)
        );
        assert!(
            [400, 401, 403, 404].into_iter().all(|status| StatusClass::of(status) == StatusClass::Refusal)
        );
    }
}
