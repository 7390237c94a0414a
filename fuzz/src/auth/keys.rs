//! Documents of keys, without the fetching of them.

mod der;
mod document;
pub mod template;

use std::sync::Arc;

use super::jwt::key_id::KeyId;
pub use document::{DocumentError, Key};

/// The keys of this name in a document.
///
/// # Errors
/// [`DocumentError`].
pub fn read(content_type: &str, body: &[u8], id: &KeyId) -> Result<Arc<[Key]>, DocumentError> {
    document::Document::read(content_type, body)?.keys_of(id)
}
