//! The rules, one module for each group.

mod citations;
mod dependencies;
mod embedded;
mod invariants;
mod layers;
mod limits;
mod links;
mod module_files;
mod test_style;
mod texts;
mod use_style;
mod words;
