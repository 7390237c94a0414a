//! How the rules see the repository.

pub(crate) mod graph;
pub(crate) mod imports;
pub(crate) mod manifest;
pub(crate) mod markdown;
pub(crate) mod modules;
pub(crate) mod rust;
pub(crate) mod tree;
