//! The URLs of a destination (contract §5.1).

use std::borrow::Cow;
use std::sync::Arc;

use talaria_protocol::url::{Target, UrlError};
use wrp::{Locator, Scheme};

use super::endpoints::Endpoints;
use crate::event::config::{Config, NamedHosts};
use crate::event::reason::{DropReason, SchemeLabel};

/// The separator between a URL's scheme and the rest.
const SCHEME_END: &str = "://";

/// The URLs of all destinations.
#[derive(Debug)]
pub(in crate::event) struct Routes {
    endpoints: Endpoints,
    default_scheme: Box<str>,
    allowed_schemes: Box<[String]>,
    named_hosts: NamedHosts,
}

/// The URLs of one destination.
#[derive(Debug)]
pub(in crate::event) struct Route<'a> {
    pub(in crate::event) scheme: SchemeLabel,
    /// At least one.
    pub(in crate::event) urls: Cow<'a, [Result<Arc<Target>, UrlError>]>,
}

impl Routes {
    pub(in crate::event) fn new(config: &Config) -> Self {
        Self {
            endpoints: config.endpoints.clone(),
            default_scheme: config.default_scheme.as_str().into(),
            allowed_schemes: config.allowed_schemes.as_slice().into(),
            named_hosts: config.dns.hosts.clone(),
        }
    }

    /// The URLs that a message with this destination is posted to.
    ///
    /// # Errors
    /// Why there are none.
    pub(in crate::event) fn resolve(&self, dest: &Locator<'_>) -> Result<Route<'_>, DropReason> {
        match dest.scheme {
            Scheme::Event => {
                let urls = self.endpoints.get(dest.event_type()).ok_or(DropReason::NoEndpoint)?;
                Ok(Route { scheme: SchemeLabel::Event, urls: Cow::Borrowed(urls) })
            }
            Scheme::Dns => {
                let target = self.named(&dest.authority, &dest.ignored)?;
                Ok(Route { scheme: SchemeLabel::Dns, urls: Cow::Owned(vec![Ok(Arc::new(target))]) })
            }
            Scheme::Mac | Scheme::Uuid | Scheme::Serial | Scheme::Own => {
                Err(DropReason::UnroutableDestination)
            }
        }
    }

    /// The URL of a `dns:` destination. The service of a v3 locator, the first element of its path, is not part of the URL:
    /// that is the reference's behaviour, and receivers are configured for it.
    fn named(&self, authority: &str, rest: &str) -> Result<Target, DropReason> {
        if self.named_hosts == NamedHosts::None {
            return Err(DropReason::DnsDisabled);
        }
        let mut url = format!("{authority}{rest}");
        let scheme = match url.split_once(SCHEME_END) {
            Some((scheme, _)) => scheme,
            None => {
                url = format!("{}{SCHEME_END}{url}", self.default_scheme);
                &self.default_scheme
            }
        };
        if !self.allowed_schemes.iter().any(|allowed| allowed == scheme) {
            return Err(DropReason::SchemeNotAllowed);
        }
        let target = Target::parse(&url).map_err(|UrlError| DropReason::MalformedRequest)?;
        // A URL without a host fails when it is sent to, as in the reference.
        match target.address() {
            Ok(address) if !self.named_hosts.allows(&address.origin) => Err(DropReason::HostNotAllowed),
            _ => Ok(target),
        }
    }
}
