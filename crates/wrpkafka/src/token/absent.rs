//! What stands for a token server in a build without the feature `registry`: it cannot be opened.

use std::convert::Infallible;
use std::time::{Duration, SystemTime};

use super::issued::Token;
use crate::config::OAuth2;

pub(super) enum TokenServer {}

impl TokenServer {
    pub(super) fn open(_config: &OAuth2) -> Result<Self, String> {
        Err("sasl.oauth2: this build of wrpkafka lacks the feature `registry`".to_owned())
    }

    pub(super) fn token(&self, _time: SystemTime) -> Result<(Token, Duration), Infallible> {
        match *self {}
    }
}
