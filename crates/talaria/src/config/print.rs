//! Prints a configuration as YAML (`talaria config --print`): the sample with its comments, with the values in effect
//! and, for each that is not a default, where it was written.
//!
//! The output reads back as the same configuration, except for secrets, which are masked: to read it back with them is a
//! fault.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::sample::{self, Comments, comments};
use super::secret::{MASK, is_secret, masked};
use super::tree::{Node, Origin, Value};

/// The column at which the comment after a value starts, unless the value is longer.
const COMMENT_COLUMN: usize = 40;

/// Prints a tree that was merged from the sample and other layers.
#[must_use]
pub fn print(tree: &Node) -> String {
    let mut printer = Printer { comments: comments(&sample::described_text()), text: String::new() };
    printer.entries(tree, "", 0);
    printer.text
}

struct Printer {
    /// By the path of the key in lower case, with `[]` for an item of a list.
    comments: HashMap<String, Comments>,
    text: String,
}

impl Printer {
    fn entries(&mut self, section: &Node, path: &str, indent: usize) {
        let is_open = sample::described()
            .at(path.replace("[]", "[0]").split('.').filter(|key| !key.is_empty()))
            .is_some_and(sample::is_open);
        for entry in section.entries() {
            let path = if path.is_empty() { entry.key.clone() } else { format!("{path}.{}", entry.key) };
            let (above, beside) = match self.comments.get(&path.to_lowercase()) {
                Some(comments) => (comments.above.clone(), comments.beside.clone()),
                None => (Vec::new(), String::new()),
            };
            if indent == 0 && !above.is_empty() {
                self.text.push('\n');
            }
            for line in above {
                let _ = writeln!(self.text, "{:indent$}{line}", "");
            }
            if let (Some(file), false) = (entry.node.origin.value_file(), is_open) {
                let start = format!(
                    "{:indent$}{}: {}",
                    "",
                    sample::file_key(&entry.key),
                    scalar(&file.display().to_string())
                );
                self.line(&start, &origin(&entry.node), &beside);
                continue;
            }
            let start = format!("{:indent$}{}:", "", scalar(&entry.key));
            self.value(&start, &entry.node, &path, &beside, indent);
        }
    }

    /// Writes a key and its value; `start` is the line up to the key's colon.
    fn value(&mut self, start: &str, node: &Node, path: &str, comment: &str, indent: usize) {
        match &node.value {
            Value::Map(entries) if !entries.is_empty() => {
                self.line(start, "", comment);
                self.entries(node, path, indent + 2);
            }
            Value::List(items) if items.iter().any(|item| matches!(item.value, Value::Map(_))) => {
                self.line(start, &origin(node), comment);
                for item in items {
                    self.item(item, &format!("{path}[]"), indent + 2);
                }
            }
            value => {
                let value = match node.origin.value_file() {
                    Some(_) => scalar(MASK),
                    None => shown(path, value),
                };
                let start = if value.is_empty() { start.to_owned() } else { format!("{start} {value}") };
                self.line(&start, &origin(node), comment);
            }
        }
    }

    /// Writes an item of a list of sections, with its first key after the dash.
    fn item(&mut self, item: &Node, path: &str, indent: usize) {
        if item.entries().is_empty() {
            let start = format!("{:indent$}- {}", "", shown(path, &item.value));
            return self.line(&start, "", "");
        }
        let from = self.text.len();
        self.entries(item, path, indent + 2);
        self.text.replace_range(from + indent..from + indent + 1, "-");
    }

    fn line(&mut self, start: &str, origin: &str, comment: &str) {
        let remark =
            [origin, comment].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        if remark.is_empty() {
            let _ = writeln!(self.text, "{start}");
        } else {
            let _ = writeln!(self.text, "{start:COMMENT_COLUMN$} # {remark}");
        }
    }
}

fn origin(node: &Node) -> String {
    match node.origin {
        Origin::Default { .. } => String::new(),
        _ => format!("[{}]", node.origin),
    }
}

/// The value at this path of a tree, printed in one line. Empty if the path has no value.
#[must_use]
pub fn shown_at(tree: &Node, path: &str) -> String {
    match tree.at(path.split('.')) {
        Some(Node { origin, .. }) if let Some(file) = origin.value_file() => {
            format!("from {}", file.display())
        }
        Some(node) => shown(path, &node.value),
        None => String::new(),
    }
}

/// A value in one line.
pub(super) fn shown(path: &str, value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Map(entries) if entries.is_empty() => "{}".to_owned(),
        _ if is_secret(path) && !value.is_blank() => scalar(MASK),
        Value::Bool(value) => value.to_string(),
        Value::Number(text) => text.clone(),
        Value::Text(text) => scalar(&masked(text)),
        Value::List(items) => {
            let item = |item: &Node| match item.origin.value_file() {
                Some(_) => scalar(MASK),
                None => shown(path, &item.value),
            };
            let items: Vec<String> = items.iter().map(item).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let entry = |entry: &super::tree::Entry| {
                let path = format!("{path}.{}", entry.key);
                format!("{}: {}", scalar(&entry.key), shown(&path, &entry.node.value))
            };
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
    }
}

/// A text as YAML: without quotes if every YAML parser reads it as the same text, else in double quotes as in JSON.
fn scalar(text: &str) -> String {
    let bare = |text: &str| {
        let word = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c));
        let first = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
        let special = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
        word && first && !special.iter().any(|other| text.eq_ignore_ascii_case(other))
    };
    let duration = text.starts_with(|c: char| c.is_ascii_digit())
        && text.ends_with(['s', 'm', 'h'])
        && text.chars().all(|c| c.is_ascii_alphanumeric());
    if bare(text) || duration { text.to_owned() } else { serde_json::Value::from(text).to_string() }
}
