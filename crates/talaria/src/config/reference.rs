//! The reference page of the configuration in Markdown (`talaria config --docs`, `docs/configuration.md`).

use std::fmt::Write as _;

use super::describe::{Content, Described, describe};
use super::observe::Accepted;
use super::print::shown;
use super::secret::is_secret;
use crate::live::TakesEffect;

/// The page. `takes_effect` says of a path when a change takes effect.
#[must_use]
pub fn reference(takes_effect: &dyn Fn(&str) -> TakesEffect) -> String {
    let mut page = Page { text: INTRODUCTION.to_owned(), takes_effect };
    page.section(describe(), "");
    page.text
}

const INTRODUCTION: &str = "\
# Configuration

Every key of the configuration. This page is made of [defaults.yaml](../crates/talaria/defaults.yaml), which holds the defaults, and of what the
gateway's readers accept: `talaria config --docs` prints it, and a test holds that it is up to date. How files, the environment
and secrets are read is said in [the contract](contract/09-configuration.md); `talaria config --schema` prints a schema for
editors.

- A value can be left out; then it is the default. An empty list of entries has none.
- **Live**: whether a change takes effect while the gateway runs
  ([§14.7](contract/14-what-we-do-better.md#147-the-configuration-can-change-while-the-gateway-runs)), or why not.
- The value of each key `x` can be kept in a file: `xFile` names it. A secret is marked with *secret*.
";

struct Page<'a> {
    text: String,
    takes_effect: &'a dyn Fn(&str) -> TakesEffect,
}

impl Page<'_> {
    /// The values of a section as a table, then the sections below it. `comment` is said of it.
    fn section(&mut self, described: &Described, comment: &str) {
        let Content::Section(keys) = &described.content else { return };
        let title = match described.path.as_str() {
            "" => "Top level".to_owned(),
            path => format!("`{path}`"),
        };
        let _ = write!(self.text, "\n## {title}\n");
        if !comment.is_empty() {
            let _ = write!(self.text, "\n{}\n", escaped(&sentence(comment)));
        }
        let (values, below): (Vec<_>, Vec<_>) = keys.iter().partition(|key| is_value(key));
        if !values.is_empty() {
            self.text.push_str("\n| key | default | accepts | live | |\n|---|---|---|---|---|\n");
        }
        for key in values {
            self.row(key);
        }
        for key in below {
            match &key.content {
                Content::List(item) => self.section(item, &key.comment),
                _ => self.section(key, &key.comment),
            }
        }
    }

    fn row(&mut self, key: &Described) {
        let default = shown("", &key.sample.value);
        let default =
            if default.is_empty() || default == "\"\"" { String::new() } else { format!("`{default}`") };
        let accepts = match &key.content {
            Content::Value(Some(accepted)) => accepted_words(accepted),
            Content::Open(_) => "names and values".to_owned(),
            _ => "any value".to_owned(),
        };
        let live = match (self.takes_effect)(&key.path) {
            TakesEffect::Live => "yes".to_owned(),
            TakesEffect::AtStart(reason) => format!("no: {reason}"),
        };
        let secret = if is_secret(&key.path) { "*secret* " } else { "" };
        let (accepts, comment) = (escaped(&accepts), escaped(&key.comment));
        let cells = [format!("`{}`", key.key), default, accepts, live, format!("{secret}{comment}")];
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        let _ = writeln!(self.text, "| {} |", cells.join(" | ").trim_end());
    }
}

fn is_value(key: &Described) -> bool {
    matches!(key.content, Content::Value(_) | Content::Open(_))
}

fn accepted_words(accepted: &Accepted) -> String {
    let words = accepted.expected.replace(" (a number means nanoseconds)", "");
    words.replace("a duration such as 30s, 1m30s or 500ms", "a duration")
}

/// A text that has no tags: Markdown would take `<name>` for one, except in code.
fn escaped(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let parts = parts.map(|(at, part)| if at % 2 == 0 { part.replace('<', "\\<") } else { part.to_owned() });
    parts.collect::<Vec<_>>().join("`")
}

/// A comment as a sentence.
fn sentence(comment: &str) -> String {
    let mut chars = comment.chars();
    let first = chars.next().map(|first| first.to_uppercase().to_string()).unwrap_or_default();
    let end = if comment.ends_with(['.', ':', '!']) { "" } else { "." };
    format!("{first}{}{end}", chars.as_str())
}
