//! Values that are kept in files of their own, such as secrets (contract §9.4): `authKeyFile` names the file of `authKey`, and
//! `TALARIA_INBOUND_AUTHKEY_FILE` does.
//!
//! The files are read whenever the configuration is. Keys of the sample that end in `File` are no such keys: their components
//! read those files, and again when they change.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use super::fault::Report;
use super::sample;
use super::tree::{Entry, Node, Origin, Value};

/// The longest value that is read, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Replaces each key that names the file of a value by the value. `known` is the section of the described sample.
pub(super) fn resolve(layer: &mut Node, known: &Node, report: &mut Report) {
    resolve_below("", layer, known, report);
}

/// The value in a file. `named` is where the file was named, and `known` what the sample has in place of the value.
///
/// # Errors
/// A problem, as it follows the key in a message.
pub(super) fn read(path: &str, named: &Origin, known: Option<&Node>) -> Result<Node, String> {
    let problem = |error: io::Error| format!("names {path}, which cannot be read: {error}");
    let text = read_text(Path::new(path)).map_err(problem)?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() {
        return Err(format!("names {path}, which is empty"));
    }
    let origin = Origin::ValueFile { path: Arc::from(Path::new(path)), named: Arc::new(named.clone()) };
    let item = |text: &str| Node { value: Value::Text(text.to_owned()), origin: origin.clone() };
    if matches!(known, Some(Node { value: Value::List(_), .. })) {
        let items = text.split([',', '\n']).map(str::trim).filter(|text| !text.is_empty()).map(item);
        return Ok(Node { value: Value::List(items.collect()), origin: origin.clone() });
    }
    Ok(item(text))
}

fn resolve_below(path: &str, layer: &mut Node, known: &Node, report: &mut Report) {
    match &mut layer.value {
        Value::List(items) => {
            let Value::List(samples) = &known.value else { return };
            let Some(sample) = samples.first() else { return };
            for (at, item) in items.iter_mut().enumerate() {
                resolve_below(&format!("{path}[{at}]"), item, sample, report);
            }
        }
        Value::Map(entries) => {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            let mut values = Vec::new();
            entries.retain_mut(|entry| match sample::value_of_file_key(known, &entry.key) {
                Some((key, sample)) => {
                    values.extend(value(key, &below(&entry.key), &entry.node, sample, report));
                    false
                }
                None => {
                    if let Some(known) = known.at([entry.key.as_str()]) {
                        resolve_below(&below(&entry.key), &mut entry.node, known, report);
                    }
                    true
                }
            });
            for value in values {
                match entries.iter_mut().find(|entry| entry.key.eq_ignore_ascii_case(&value.key)) {
                    Some(entry) if entry.node.value.is_blank() => entry.node = value.node,
                    Some(entry) => {
                        let problem = format!("is set beside {}, expected one of them", entry.key);
                        let Origin::ValueFile { named, .. } = &value.node.origin else { continue };
                        report.fault(below(&sample::file_key(&value.key)), problem, Some(named));
                    }
                    None => entries.push(value),
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Text(_) => {}
    }
}

/// The value of the file that `node` names, under the key of the value. `None` if it names none, or is a fault.
fn value(key: &str, path: &str, node: &Node, known: &Node, report: &mut Report) -> Option<Entry> {
    let problem = match &node.value {
        Value::Null => return None,
        Value::Text(file) if file.is_empty() => return None,
        Value::Text(file) => match read(file, &node.origin, Some(known)) {
            Ok(node) => return Some(Entry { key: key.to_owned(), node }),
            Err(problem) => problem,
        },
        _ => "is not a text, expected the path of a file".to_owned(),
    };
    report.fault(path, problem, Some(&node.origin));
    None
}

fn read_text(path: &Path) -> io::Result<String> {
    // To open a pipe would wait for its writer.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is not a file"));
    }
    let mut text = String::new();
    File::open(path)?.take(LONGEST + 1).read_to_string(&mut text)?;
    if text.len() as u64 > LONGEST {
        return Err(io::Error::other(format!("it is larger than {LONGEST} bytes")));
    }
    Ok(text)
}
