//! The rules, one module for each group.

mod citations;
mod dependencies;
mod embedded;
mod invariants;
mod layers;
mod limits;
mod links;
mod log_page;
mod metrics;
mod metrics_page;
mod module_files;
mod page;
mod pages;
mod test_style;
mod texts;
mod use_style;
mod words;
