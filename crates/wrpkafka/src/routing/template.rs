//! Topics named after the event type (`topicTemplate`).
//!
//! A device chooses its event types, so a template leads only to the topics of a list (`allowedTopics`), and else to the
//! fallback topic or nowhere.

use std::fmt;
use std::sync::Arc;

use super::target::Target;

/// The placeholder for the event type.
const EVENT_TYPE: &str = "{event_type}";

/// The longest topic name that Kafka accepts (`org.apache.kafka.common.internals.Topic`).
const MAX_TOPIC: usize = 249;

/// A parsed `topicTemplate`: the texts before and after the event type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Template<'a> {
    text: &'a str,
    before: &'a str,
    after: &'a str,
}

/// A template with its allowed topics, sorted by the event types that lead to them.
#[derive(Debug)]
pub(crate) struct TemplatedTopics {
    template: Box<str>,
    allowed: Box<[(Box<str>, Arc<Target>)]>,
    fallback: Option<Arc<Target>>,
}

/// What is wrong with a template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TemplateError {
    #[error("names no placeholder: expected `{{event_type}}` once; for one topic write `topic`")]
    NoTopicSettingholder,
    #[error("has a placeholder that is not known, or a brace too many: expected `{{event_type}}` once")]
    UnknownTopicSettingholder,
    #[error(
        "has a character that no topic may have: expected a-z, A-Z, 0-9, `.`, `_` and `-` around `{{event_type}}`"
    )]
    Character,
}

/// What is wrong with a topic's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TopicError {
    #[error(
        "`{0}` is not a topic name: expected 1 to {MAX_TOPIC} of a-z, A-Z, 0-9, `.`, `_` and `-`, but not `.` or `..`"
    )]
    Name(String),
    #[error("`{topic}` can never come from the template `{template}`")]
    Unreachable { topic: String, template: String },
}

/// The setting that names a topic. It displays as the setting's key, relative to the route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TopicSetting {
    Allowed(usize),
    Fallback,
}

impl fmt::Display for TopicSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(index) => write!(f, "allowedTopics[{index}]"),
            Self::Fallback => f.write_str("fallbackTopic"),
        }
    }
}

impl<'a> Template<'a> {
    pub(crate) fn parse(text: &'a str) -> Result<Self, TemplateError> {
        let is_brace = |c| matches!(c, '{' | '}');
        let Some((before, after)) = text.split_once(EVENT_TYPE) else {
            let error = if text.contains(is_brace) {
                TemplateError::UnknownTopicSettingholder
            } else {
                TemplateError::NoTopicSettingholder
            };
            return Err(error);
        };
        if before.contains(is_brace) || after.contains(is_brace) {
            Err(TemplateError::UnknownTopicSettingholder)
        } else if !before.bytes().chain(after.bytes()).all(is_topic_byte) {
            Err(TemplateError::Character)
        } else {
            Ok(Template { text, before, after })
        }
    }

    /// Limits the template to the allowed topics. Calls `fault` for every topic that cannot be used.
    pub(crate) fn with_topics(
        self,
        allowed: &[String],
        fallback: Option<&str>,
        mut fault: impl FnMut(TopicSetting, TopicError),
    ) -> TemplatedTopics {
        let mut map = Vec::with_capacity(allowed.len());
        for (index, topic) in allowed.iter().enumerate() {
            if !is_topic(topic) {
                fault(TopicSetting::Allowed(index), TopicError::Name(topic.clone()));
            } else if let Some(event_type) = self.event_type_of(topic) {
                map.push((event_type.into(), Target::new(topic, "")));
            } else {
                let (topic, template) = (topic.clone(), self.text.to_owned());
                fault(TopicSetting::Allowed(index), TopicError::Unreachable { topic, template });
            }
        }
        if let Some(topic) = fallback.filter(|topic| !is_topic(topic)) {
            fault(TopicSetting::Fallback, TopicError::Name(topic.to_owned()));
        }
        map.sort_by(|(one, _): &(Box<str>, _), (other, _)| one.cmp(other));
        TemplatedTopics {
            template: self.text.into(),
            allowed: map.into(),
            fallback: fallback.map(|topic| Target::new(topic, "")),
        }
    }

    /// The event type for which the template gives this topic.
    fn event_type_of(self, topic: &'a str) -> Option<&'a str> {
        let event_type = topic.strip_prefix(self.before)?.strip_suffix(self.after)?;
        (!event_type.is_empty()).then_some(event_type)
    }
}

impl TemplatedTopics {
    /// The target of an event type; none if its topic is not allowed and there is no fallback.
    pub(crate) fn choose(&self, event_type: &str) -> Option<&Arc<Target>> {
        match self.allowed.binary_search_by(|(allowed, _)| (**allowed).cmp(event_type)) {
            Ok(at) => Some(&self.allowed[at].1),
            Err(_) => self.fallback.as_ref(),
        }
    }

    /// Every target that a record may have.
    pub(crate) fn targets(&self) -> impl Iterator<Item = &Arc<Target>> {
        self.allowed.iter().map(|(_, target)| target).chain(&self.fallback)
    }

    /// The template as it was written.
    pub(crate) fn template(&self) -> &str {
        &self.template
    }
}

/// Checks that Kafka accepts this name of a topic.
pub(crate) fn check_topic(name: &str) -> Result<(), TopicError> {
    if is_topic(name) { Ok(()) } else { Err(TopicError::Name(name.to_owned())) }
}

fn is_topic(name: &str) -> bool {
    (1..=MAX_TOPIC).contains(&name.len()) && !matches!(name, "." | "..") && name.bytes().all(is_topic_byte)
}

fn is_topic_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limited(template: &str, allowed: &[&str], fallback: Option<&str>) -> (TemplatedTopics, Vec<String>) {
        let allowed: Vec<_> = allowed.iter().map(|&topic| topic.to_owned()).collect();
        let mut faults = Vec::new();
        let topics = Template::parse(template)
            .unwrap()
            .with_topics(&allowed, fallback, |place, problem| faults.push(format!("{place} {problem}")));
        (topics, faults)
    }

    #[test]
    fn an_event_type_goes_to_the_topic_of_its_name_if_that_is_on_the_list() {
        let (topics, faults) = limited("wrp-{event_type}.v1", &["wrp-reboot.v1", "wrp-iot.v1"], None);
        assert_eq!(faults, [""; 0]);
        let chosen = |event_type| topics.choose(event_type).map(|target| &*target.topic);
        assert_eq!(chosen("iot"), Some("wrp-iot.v1"));
        assert_eq!(chosen("reboot"), Some("wrp-reboot.v1"));
        for other in ["", "IOT", "iot.v1", "secrets", "../iot", "wrp-iot.v1"] {
            assert_eq!(chosen(other), None, "{other}");
        }
    }

    #[test]
    fn an_event_type_that_is_not_on_the_list_goes_to_the_fallback_if_there_is_one() {
        let (topics, _) = limited("{event_type}", &["iot"], Some("others"));
        assert_eq!(&*topics.choose("iot").unwrap().topic, "iot");
        assert_eq!(&*topics.choose("secrets").unwrap().topic, "others");
    }

    #[test]
    fn a_template_has_exactly_one_known_placeholder() {
        for (text, error) in [
            ("wrp", TemplateError::NoTopicSettingholder),
            ("wrp-{eventType}", TemplateError::UnknownTopicSettingholder),
            ("{partner_id}-{event_type}", TemplateError::UnknownTopicSettingholder),
            ("{event_type}{event_type}", TemplateError::UnknownTopicSettingholder),
            ("{{event_type}}", TemplateError::UnknownTopicSettingholder),
            ("wrp {event_type}", TemplateError::Character),
            ("wrp/{event_type}", TemplateError::Character),
        ] {
            assert_eq!(Template::parse(text), Err(error), "{text}");
        }
    }

    #[test]
    fn a_topic_that_kafka_rejects_or_the_template_never_gives_is_a_fault_of_its_setting() {
        let long = "a".repeat(MAX_TOPIC + 1);
        let (_, faults) = limited("a{event_type}", &["a b", "", &long, "b", "a", "ab"], Some(".."));
        let places: Vec<_> = faults.iter().filter_map(|fault| fault.split(' ').next()).collect();
        let allowed = |at| format!("allowedTopics[{at}]");
        assert_eq!(
            places,
            [&allowed(0), &allowed(1), &allowed(2), &allowed(3), &allowed(4), "fallbackTopic"]
        );
    }
}
