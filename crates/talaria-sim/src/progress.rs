//! Progress bars: on stderr if that is a terminal, nothing otherwise.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for `what`, `len` steps long. It vanishes once it is finished or dropped.
#[must_use]
pub fn bar(what: &'static str, len: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{msg:12} {wide_bar} {human_pos}/{human_len} {per_sec} {eta}");
    let bar = ProgressBar::new(len).with_message(what);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// A sign of life for `what`, of which nobody knows how long it takes.
#[must_use]
pub fn spinner(what: &'static str) -> ProgressBar {
    let spinner = ProgressBar::new_spinner().with_message(what);
    spinner.enable_steady_tick(std::time::Duration::from_millis(120));
    spinner
}
