//! What stands for the registry's API in a build without the feature `registry`: it cannot be opened.

use super::lookup_error::LookupError;
use crate::config::SchemaRegistry;
use crate::schema::Schema;

pub(crate) enum Registry {}

impl Registry {
    pub(crate) fn open(_config: &SchemaRegistry) -> Result<Self, String> {
        Err("this build of wrpkafka lacks the feature `registry`".to_owned())
    }

    pub(crate) fn id(&self, _subject: &str, _schema: Schema) -> Result<u32, LookupError> {
        match *self {}
    }
}
