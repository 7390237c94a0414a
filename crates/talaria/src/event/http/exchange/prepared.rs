//! Requests that are sent to a receiver in one packet.

use std::borrow::Cow;
use std::sync::Arc;

use ::http::HeaderMap;
use ::http::header::HeaderValue;
use bytes::Bytes;
use talaria_protocol::trace_context::TraceContext;
use talaria_protocol::url::Target;
use tokio::time::Instant;

use super::{Client, Disclosure, Outgoing, Trust};
use crate::event::http::connection::Http1;
use crate::event::http::request_head::{self, Rest};

/// The first request of an attempt, as it is written by HTTP/1.1.
pub(in crate::event) struct Prepared<'a> {
    first: Cow<'a, [u8]>,
    rest: Rest,
    body: Bytes,
    /// The access token in it.
    pub(in crate::event) bearer: Option<HeaderValue>,
}

impl Client {
    /// An idle connection to the receiver of this URL that can carry several requests at a time.
    pub(in crate::event) fn take_proven(&self, target: &Target) -> Option<Http1> {
        self.connections.take_proven(&target.address().ok()?.origin)
    }

    /// Returns a connection after all of its requests have ended.
    pub(in crate::event) fn give_back(&self, target: &Target, connection: Http1) {
        if let Ok(address) = target.address() {
            self.connections.put(&address.origin, connection.into());
        }
    }

    /// The request that posts a body to a configured URL; none if its credentials have to be waited for or are not available, in
    /// which case the event is posted by itself.
    pub(in crate::event) fn prepare(
        &self,
        target: &Arc<Target>,
        body: &Bytes,
        deadline: Instant,
        trace: Option<&TraceContext>,
    ) -> Option<Prepared<'_>> {
        let address = target.address().ok()?;
        let bearer = match &self.trust {
            Trust::Configured { credentials: Some(credentials), .. } => {
                credentials.bearer_now(address).ok()?
            }
            Trust::Configured { credentials: None, .. } => None,
            Trust::Named { .. } => return None,
        };
        let disclosure = Disclosure::Sent;
        let outgoing =
            Outgoing { target, address, body, deadline, disclosure, bearer: bearer.as_ref(), trace };
        let mut headers = HeaderMap::new();
        self.add_headers(&outgoing, &mut headers).ok()?;
        let rest = request_head::rest(&headers, body.len());
        let first = self.head(&outgoing);
        Some(Prepared { first, rest, body: body.clone(), bearer })
    }
}

impl Prepared<'_> {
    pub(in crate::event) fn parts(&self) -> [&[u8]; 3] {
        [&self.first, &self.rest, &self.body]
    }
}
