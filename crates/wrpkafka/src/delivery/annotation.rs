//! What a caller adds to the records of one message, such as the context of its trace.

/// Headers that the records of one message have beside those of the configuration, and who is to learn where the records go.
#[derive(Clone, Copy)]
pub struct Annotation<'a> {
    /// Names and values, after the configured headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The id of the trace that the message is recorded in, which the event about each record repeats
    /// ([`PublishEvent::trace`](crate::PublishEvent::trace)).
    pub trace: Option<u128>,
    /// Called with the topic of each record, before it is handed to the client.
    pub on_topic: &'a dyn Fn(&str),
}
