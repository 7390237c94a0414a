//! The configuration as a JSON Schema (draft 2020-12), for editors (`talaria config --schema`, contract §9.2).
//!
//! It describes what the readers accept, as lenient as they are, except that keys have to be written as in the sample and that a
//! list has to be one, or a text with commas. What fits together is not described: `talaria config --check` finds that.

#[cfg(test)]
mod tests;

use serde_json::{Map, Value as Json, json};

use super::describe::{Content, Described, describe};
use super::observe::{Accepted, Form, Numbers, Texts};
use super::tree::Value;
use super::{known, sample, upstream};

/// The schema.
#[must_use]
pub fn schema() -> Json {
    let mut schema = section(describe());
    let about = Map::from_iter([
        ("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema")),
        ("title".to_owned(), json!("The configuration of Talaria")),
    ]);
    if let Json::Object(keys) = &mut schema {
        *keys = about.into_iter().chain(std::mem::take(keys)).collect();
    }
    schema
}

/// Go's notation of a duration, or a number of nanoseconds.
const DURATION: &str = r"^[+-]?([0-9]+|([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)(([0-9]+\.?[0-9]*|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h))*)$";
const NUMBER: &str = r"^\s*[+-]?(0x[0-9A-Fa-f_]+|[0-9_]*\.?[0-9_]+)\s*$";
const BOOL: &str = "^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$";

fn of(described: &Described) -> Json {
    let mut schema = match &described.content {
        Content::Section(_) => section(described),
        Content::Open(accepted) => open(accepted.as_ref()),
        Content::List(item) => json!({ "type": ["array", "null"], "items": section(item) }),
        Content::Value(accepted) => value(described, accepted.as_ref()),
    };
    if let Json::Object(keys) = &mut schema
        && !described.comment.is_empty()
    {
        keys.insert("description".to_owned(), described.comment.clone().into());
    }
    schema
}

fn section(described: &Described) -> Json {
    let Content::Section(keys) = &described.content else { return json!({}) };
    let mut properties: Map<String, Json> = keys.iter().map(|key| (key.key.clone(), of(key))).collect();
    // The keys whose values may be in files of their own.
    let files: Vec<&str> = keys
        .iter()
        .filter(|key| !matches!(key.content, Content::Section(_) | Content::Open(_)))
        .filter(|key| !properties.contains_key(&*sample::file_key(&key.key)))
        .map(|key| key.key.as_str())
        .collect();
    let files = (!files.is_empty()).then(|| format!("^({})File$", files.join("|")));
    for (name, instead) in deprecated(&described.path) {
        properties.entry(name).or_insert_with(|| json!({ "deprecated": true, "description": instead }));
    }
    let mut schema =
        json!({ "type": ["object", "null"], "properties": properties, "additionalProperties": false });
    if let Some(pattern) = files {
        let file = json!({ "type": ["string", "null"], "description": "a file that holds the value" });
        schema["patternProperties"] = json!({ pattern: file });
    }
    schema
}

/// The keys of a section that are known, but not in the sample.
fn deprecated(section: &str) -> Vec<(String, String)> {
    let below = |path: &str| {
        let (parent, name) = path.rsplit_once('.').unwrap_or(("", path));
        parent.eq_ignore_ascii_case(section).then(|| name.to_owned())
    };
    let aliases = known::ALIASES
        .iter()
        .filter_map(|(alias, name)| Some((below(alias)?, format!("another name of {name}"))));
    let foreign =
        upstream::keys().filter_map(|path| Some((below(path)?, "of the Go gateway; ignored".to_owned())));
    aliases.chain(foreign).collect()
}

fn open(accepted: Option<&Accepted>) -> Json {
    let values = accepted.map_or_else(|| json!(true), accepts);
    // An empty list stands for an empty section, as in the sample of the Go gateway.
    json!({ "type": ["object", "array", "null"], "maxItems": 0, "additionalProperties": values })
}

fn value(described: &Described, accepted: Option<&Accepted>) -> Json {
    let mut schema = accepted.map_or_else(|| json!({}), accepts);
    // The Go gateway writes a hash key as a section.
    if described.path.ends_with(".hashKey") {
        schema = json!({ "type": ["string", "object", "null"] });
    }
    if let (Json::Object(keys), Some(default)) = (&mut schema, default(&described.sample.value)) {
        keys.insert("default".to_owned(), default);
    }
    schema
}

/// Null stands for a key that is not written.
fn accepts(accepted: &Accepted) -> Json {
    let mut types = vec!["null"];
    let mut schema = Map::new();
    if accepted.bools {
        types.push("boolean");
    }
    if let Some(Numbers { least, most }) = accepted.numbers {
        types.push("number");
        schema.extend(least.map(|least| ("minimum".to_owned(), least.into())));
        // A fraction is cut off.
        schema.extend(most.map(|most| ("exclusiveMaximum".to_owned(), most.saturating_add(1).into())));
    }
    if let Some(texts) = &accepted.texts {
        types.push("string");
        schema.extend(form(texts));
    }
    if let Some(items) = &accepted.items {
        types.push("array");
        schema.insert("items".to_owned(), accepts(items));
    }
    let is_words = schema.contains_key("enum");
    let has_numbers = types.contains(&"number") || types.contains(&"boolean") || types.contains(&"array");
    if is_words && has_numbers {
        // Words are only said of texts.
        let words = schema.remove("enum").unwrap_or_default();
        schema.insert("if".to_owned(), json!({ "type": "string" }));
        schema.insert("then".to_owned(), json!({ "enum": words }));
    } else if let Some(Json::Array(words)) = schema.get_mut("enum") {
        words.push(Json::Null);
    }
    schema.insert("type".to_owned(), json!(types));
    Json::Object(schema)
}

fn form(texts: &Texts) -> Option<(String, Json)> {
    let pattern = |pattern: &str| {
        let pattern = if texts.empty { format!("^$|{pattern}") } else { pattern.to_owned() };
        Some(("pattern".to_owned(), pattern.into()))
    };
    match &texts.form {
        Form::Any => None,
        Form::Duration => pattern(DURATION),
        Form::Number => pattern(NUMBER),
        Form::Bool => pattern(BOOL),
        Form::Words { words, any_case } => {
            let mut words = words.clone();
            if texts.empty {
                words.push(String::new());
            }
            if *any_case {
                let upper: Vec<String> = words.iter().map(|word| word.to_uppercase()).collect();
                words.extend(upper.into_iter().filter(|word| !word.is_empty()));
            }
            words.dedup();
            Some(("enum".to_owned(), words.into()))
        }
    }
}

/// The default in JSON; `None` if there is no value.
fn default(value: &Value) -> Option<Json> {
    Some(match value {
        Value::Null | Value::Map(_) => return None,
        Value::Bool(value) => Json::from(*value),
        Value::Number(text) => serde_json::from_str::<serde_json::Number>(text)
            .map_or_else(|_| Json::from(text.as_str()), Json::from),
        Value::Text(text) => Json::from(text.as_str()),
        Value::List(items) => items.iter().filter_map(|item| default(&item.value)).collect(),
    })
}
