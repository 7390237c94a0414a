//! The conditions of a drain: which devices it may disconnect.
//!
//! Finding the devices, and disconnecting them, is the gateway's task.

use std::collections::HashSet;
use std::fmt;

use regex::{Regex, RegexBuilder};
use serde_json::{Map, Value, json};
use wrp::{DeviceId, Text};

use crate::attributes::{Attributes, Values};
use crate::claims::Claims;
use crate::convey::Convey;

/// The limits of one selection: ids, texts of any other condition, bytes of a pattern and of what it compiles to.
const MOST_IDS: usize = 100_000;
const MOST_TEXTS: usize = 10_000;
const LONGEST_PATTERN: usize = 1024;
const LARGEST_PATTERN: usize = 1024 * 1024;

/// The model or firmware of a device that names none, as in the metric `hardware_model`.
const UNKNOWN: &str = "unknown";

/// Conditions, all of which a device has to meet; without any, every device does.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    filter: Option<(String, Values)>,
    ids: Option<Vec<DeviceId>>,
    pattern: Option<Regex>,
    partners: Option<Texts>,
    firmwares: Option<Texts>,
    models: Option<Texts>,
}

/// Texts one of which a device must have.
#[derive(Clone, Debug)]
struct Texts {
    listed: Vec<String>,
    set: HashSet<Box<[u8]>>,
}

/// What the conditions of a selection are compared with.
#[derive(Clone, Copy, Debug)]
pub struct Connected<'a> {
    /// The device's id.
    pub id: &'a DeviceId,
    /// Its partner, or `unknown`.
    pub partner_id: &'a str,
    /// Its convey.
    pub convey: &'a Convey,
    /// The claims of its token, which are only parsed if a condition needs them.
    pub claims: Option<&'a Claims>,
    /// The id of its connection.
    pub session_id: &'a str,
}

/// A condition cannot be set. The text follows the condition's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum SelectionError {
    /// There is no condition of this name.
    #[error("is no condition")]
    Unknown,
    #[error("must name at least one")]
    Empty,
    #[error("has more than {0} entries")]
    TooMany(usize),
    #[error("must be given once, with at most {LONGEST_PATTERN} bytes")]
    NotOne,
    #[error("number {number} is no device id")]
    NoId { number: usize },
    #[error("is no regular expression, or too large a one: {0}")]
    Pattern(String),
}

impl Selection {
    /// Whether there are no conditions, so that every device meets them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let Self { filter, ids, pattern, partners, firmwares, models } = self;
        filter.is_none()
            && ids.is_none()
            && pattern.is_none()
            && [partners, firmwares, models].into_iter().all(Option::is_none)
    }

    /// Adds a condition by its name in the request.
    pub(super) fn restrict(&mut self, name: &str, texts: Vec<String>) -> Result<(), SelectionError> {
        match name {
            "ids" => self.ids = Some(ids(&texts)?),
            "idPattern" => self.pattern = Some(pattern(&texts)?),
            "partner" => self.partners = Some(Texts::new(texts)?),
            "firmware" => self.firmwares = Some(Texts::new(texts)?),
            "model" => self.models = Some(Texts::new(texts)?),
            _ => return Err(SelectionError::Unknown),
        }
        Ok(())
    }

    /// Only devices whose claim of this name is, or contains, one of the values.
    pub(super) fn set_filter(&mut self, key: String, values: Values) {
        self.filter = Some((key, values));
    }

    /// The ids that the operator listed, if any: then no other devices need to be looked at.
    #[must_use]
    pub fn ids(&self) -> Option<&[DeviceId]> {
        self.ids.as_deref()
    }

    /// Whether a device meets all conditions except that of the ids. The cheap ones are checked first.
    #[must_use]
    pub fn matches(&self, device: Connected<'_>) -> bool {
        let unknown = Text::from(UNKNOWN);
        let convey = device.convey;
        allows(self.partners.as_ref(), || Text::from(device.partner_id))
            && allows(self.firmwares.as_ref(), || convey.firmware().unwrap_or(unknown))
            && allows(self.models.as_ref(), || convey.hardware_model().unwrap_or(unknown))
            && self.pattern.as_ref().is_none_or(|pattern| pattern.is_match(device.id.as_str()))
            && self.filter.as_ref().is_none_or(|(key, values)| {
                Attributes::new(device.claims, device.session_id).find(key, values).is_some()
            })
    }

    /// The reference's condition, as it shows it.
    pub(super) fn describe_filter(&self) -> Option<Value> {
        self.filter.as_ref().map(|(key, values)| json!({"key": key, "values": values.listed()}))
    }

    /// Describes the other conditions. Of ids only the number is given, because a list may be long.
    pub(super) fn describe_rest(&self, into: &mut Map<String, Value>) {
        if let Some(ids) = &self.ids {
            into.insert("idCount".into(), ids.len().into());
        }
        if let Some(pattern) = &self.pattern {
            into.insert("idPattern".into(), pattern.as_str().into());
        }
        for (name, texts) in
            [("partner", &self.partners), ("firmware", &self.firmwares), ("model", &self.models)]
        {
            if let Some(texts) = texts {
                into.insert(name.into(), texts.listed.clone().into());
            }
        }
    }
}

impl Texts {
    fn new(listed: Vec<String>) -> Result<Self, SelectionError> {
        bounded(&listed, MOST_TEXTS)?;
        let set = listed.iter().map(|text| text.as_bytes().into()).collect();
        Ok(Self { listed, set })
    }
}

/// Whether a text is among those that are asked for, if any are. It is not looked up if not.
fn allows<'a>(texts: Option<&Texts>, text: impl FnOnce() -> Text<'a>) -> bool {
    texts.is_none_or(|texts| texts.set.contains(text().as_bytes()))
}

/// Each id once, however often it is named.
fn ids(texts: &[String]) -> Result<Vec<DeviceId>, SelectionError> {
    bounded(texts, MOST_IDS)?;
    let mut seen = HashSet::new();
    let mut ids = Vec::with_capacity(texts.len());
    for (at, text) in texts.iter().enumerate() {
        let id: DeviceId = text.parse().map_err(|_| SelectionError::NoId { number: at + 1 })?;
        if seen.insert(id.clone()) {
            ids.push(id);
        }
    }
    Ok(ids)
}

fn pattern(texts: &[String]) -> Result<Regex, SelectionError> {
    let [text] = texts else { return Err(SelectionError::NotOne) };
    if text.len() > LONGEST_PATTERN {
        return Err(SelectionError::NotOne);
    }
    let compiled =
        RegexBuilder::new(text).size_limit(LARGEST_PATTERN).dfa_size_limit(LARGEST_PATTERN).build();
    compiled.map_err(|error| SelectionError::Pattern(one_line(&error)))
}

fn bounded(texts: &[String], most: usize) -> Result<(), SelectionError> {
    match texts.len() {
        0 => Err(SelectionError::Empty),
        given if given > most => Err(SelectionError::TooMany(most)),
        _ => Ok(()),
    }
}

/// The parser of expressions draws its errors over several lines; the last one says what is wrong.
fn one_line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}
