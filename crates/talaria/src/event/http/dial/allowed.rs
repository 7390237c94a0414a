//! Which of a host's addresses may be connected to (contract §5.8).

use std::net::IpAddr;

use talaria_protocol::url::public_address;

use crate::event::http::post_error::PostError;

/// The addresses that may be connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::event) enum Addresses {
    All,
    Public,
}

impl Addresses {
    /// Those of a host's addresses that may be connected to.
    ///
    /// # Errors
    /// [`PostError::NotPublic`] if the host has addresses, but none of these.
    pub(super) fn allowed(self, addresses: &[IpAddr]) -> Result<Vec<IpAddr>, PostError> {
        if self == Self::All {
            return Ok(addresses.to_vec());
        }
        let mut refused = None;
        let mut allowed = addresses.to_vec();
        allowed
            .retain(|address| public_address::check(*address).map_err(|error| refused = Some(error)).is_ok());
        match refused {
            Some(error) if allowed.is_empty() => Err(error.into()),
            _ => Ok(allowed),
        }
    }
}
