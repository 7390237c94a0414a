//! librdkafka's producer itself, by its C interface: records go in, events come out.
//!
//! The crate's own producer has librdkafka make an event of each delivery report, and so wakes the thread that polls for
//! each record. Here librdkafka reports only failed records like this (`delivery.report.only.error`); of delivered ones an
//! interceptor learns, on the thread that has read the broker's answer, which is awake anyway. librdkafka calls it in that
//! case with none of its locks held, so that the engine may send more records. There are two others, in which it may hold some:
//! failed records (for instance those whose time is over), which is why they take the other way; and records whose own answer
//! was lost and that a later answer acknowledges, too (`rd_kafka_dr_implicit_ack`). These wait for the thread that polls.
//!
//! It does not know what events mean: that is [`Context`]'s matter. Start at [`Producer::serve`].

#![expect(unsafe_code, reason = "the crate's wrappers allocate for each record, and have no interceptors")]
#![expect(clippy::disallowed_methods, reason = "librdkafka's threads do not know tokio")]

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::ptr::{self, NonNull};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::ClientContext as _;
use rdkafka::bindings::{
    RD_KAFKA_EVENT_DR, RD_KAFKA_EVENT_ERROR, RD_KAFKA_EVENT_LOG, RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH,
    RD_KAFKA_EVENT_STATS, RD_KAFKA_MSG_F_COPY, RD_KAFKA_PURGE_F_INFLIGHT, RD_KAFKA_PURGE_F_NON_BLOCKING,
    RD_KAFKA_PURGE_F_QUEUE, rd_kafka_conf_interceptor_add_on_new, rd_kafka_conf_set_events, rd_kafka_conf_t,
    rd_kafka_event_destroy, rd_kafka_event_error, rd_kafka_event_error_string, rd_kafka_event_log,
    rd_kafka_event_message_next, rd_kafka_event_stats, rd_kafka_event_t, rd_kafka_event_type, rd_kafka_flush,
    rd_kafka_header_add, rd_kafka_headers_destroy, rd_kafka_headers_new, rd_kafka_headers_t,
    rd_kafka_interceptor_add_on_acknowledgement, rd_kafka_message_broker_id, rd_kafka_message_t,
    rd_kafka_outq_len, rd_kafka_producev, rd_kafka_purge, rd_kafka_queue_destroy, rd_kafka_queue_get_main,
    rd_kafka_queue_poll, rd_kafka_queue_t, rd_kafka_queue_yield, rd_kafka_resp_err_t, rd_kafka_t,
    rd_kafka_type_t, rd_kafka_vtype_t as vtype,
};
use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use smallvec::SmallVec;

use super::context::Context;
use super::returned::Returned;
use crate::client::events::{ClientEvents, Next};
use crate::delivery::{DeliveryContext, Record, RecordRef};
use crate::routing::Headers;

const NO_ERROR: rd_kafka_resp_err_t = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// The name of the interceptor.
const NAME: &CStr = c"wrpkafka";

/// librdkafka's `RD_KAFKA_PARTITION_UA`: the partitioner chooses.
const CHOSEN_BY_KEY: i32 = -1;

/// How long a producer that is dropped waits for the records that it gives up.
const GIVE_UP_WITHIN: Duration = Duration::from_millis(500);

/// A topic's name and a zero byte: Kafka's names have at most 249 bytes.
type TopicName = SmallVec<[u8; 256]>;

pub(super) struct Producer {
    client: Client<Context>,
    /// Where librdkafka's events come from. It belongs to the producer.
    queue: NonNull<rd_kafka_queue_t>,
    /// Whether it has given back its queue, which it does once.
    has_given_back: AtomicBool,
    /// What the interceptor points to. Dropped after the client, whose threads have ended by then.
    interceptor: Box<Interceptor>,
}

// SAFETY: librdkafka's handles may be used by any thread, several at a time (its INTRODUCTION.md, "Threads and callbacks").
unsafe impl Send for Producer {}
// SAFETY: as above.
unsafe impl Sync for Producer {}

/// Learns of delivered records.
#[expect(clippy::vec_box, reason = "librdkafka has had them as pointers")]
struct Interceptor {
    events: Arc<dyn ClientEvents>,
    /// Delivered records that only a later answer acknowledged, until the thread that polls reports them. There are few.
    implied: Mutex<Vec<Box<DeliveryContext>>>,
}

/// Why a record was not taken.
pub(super) enum ProduceError {
    Librdkafka(Code),
    /// No topic has such a name.
    ZeroByteInTopic,
}

impl Producer {
    /// Creates a producer, which connects in the background.
    pub(super) fn new(
        config: &ClientConfig,
        context: Context,
        events: Arc<dyn ClientEvents>,
    ) -> Result<Self, KafkaError> {
        let interceptor = Box::new(Interceptor { events, implied: Mutex::default() });
        let native = config.create_native_config()?;
        let served = RD_KAFKA_EVENT_DR
            | RD_KAFKA_EVENT_STATS
            | RD_KAFKA_EVENT_ERROR
            // Ignored: tokens are handed over whenever there is another. Without this librdkafka would make one up.
            | RD_KAFKA_EVENT_OAUTHBEARER_TOKEN_REFRESH;
        // SAFETY: the configuration is alive, and has no other owner. The interceptor stays where it is, and is dropped after
        // the client. Its name lives forever. The call fails only for an interceptor that is added twice.
        unsafe {
            rd_kafka_conf_set_events(native.ptr(), served);
            let opaque: *const Interceptor = &raw const *interceptor;
            rd_kafka_conf_interceptor_add_on_new(
                native.ptr(),
                NAME.as_ptr(),
                Some(on_new),
                opaque.cast_mut().cast(),
            );
        }
        let client = Client::new(config, native, rd_kafka_type_t::RD_KAFKA_PRODUCER, context)?;
        // SAFETY: the client is alive, and has this queue as long as it is.
        let queue = unsafe { rd_kafka_queue_get_main(client.native_ptr()) };
        let queue = NonNull::new(queue).ok_or(KafkaError::ClientCreation("it has no queue".to_owned()))?;
        Ok(Self { client, queue, has_given_back: AtomicBool::new(false), interceptor })
    }

    pub(super) fn client(&self) -> &Client<Context> {
        &self.client
    }

    /// Takes a copy of a record. The context comes back when the record does.
    pub(super) fn produce(
        &self,
        record: RecordRef<'_>,
        context: Box<DeliveryContext>,
    ) -> Result<(), (Box<DeliveryContext>, ProduceError)> {
        let mut topic = TopicName::from_slice(record.target.topic.as_bytes());
        if topic.contains(&0) {
            return Err((context, ProduceError::ZeroByteInTopic));
        }
        topic.push(0);
        let (key, key_length) = record.key.map_or((ptr::null(), 0), |key| (key.as_ptr(), key.len()));
        let headers = headers(record.headers);
        let opaque = Box::into_raw(context);
        // SAFETY: the client is alive; each argument has the type that librdkafka's manual gives for its tag; the texts and bytes
        // live until the call is over, which copies them. The call is thread-safe.
        let code = unsafe {
            rd_kafka_producev(
                self.client.native_ptr(),
                vtype::RD_KAFKA_VTYPE_TOPIC,
                topic.as_ptr().cast::<c_char>(),
                vtype::RD_KAFKA_VTYPE_PARTITION,
                CHOSEN_BY_KEY,
                vtype::RD_KAFKA_VTYPE_MSGFLAGS,
                RD_KAFKA_MSG_F_COPY,
                vtype::RD_KAFKA_VTYPE_VALUE,
                record.value.as_ptr().cast::<c_void>(),
                record.value.len(),
                vtype::RD_KAFKA_VTYPE_KEY,
                key.cast::<c_void>(),
                key_length,
                vtype::RD_KAFKA_VTYPE_OPAQUE,
                opaque.cast::<c_void>(),
                vtype::RD_KAFKA_VTYPE_HEADERS,
                headers,
                vtype::RD_KAFKA_VTYPE_END,
            )
        };
        if code == NO_ERROR {
            return Ok(());
        }
        // SAFETY: a record that is not taken leaves its context and its headers with the caller; the interceptor, which is
        // called for it, too, leaves failed records alone.
        let context = unsafe {
            if !headers.is_null() {
                rd_kafka_headers_destroy(headers);
            }
            Box::from_raw(opaque)
        };
        Err((context, ProduceError::Librdkafka(code.into())))
    }

    /// Serves events for this long, at least those that are there, or until [`Producer::wake`] is called.
    /// `give_back` takes from the caller what has not been handed over yet, when the producer gives back its queue.
    pub(super) fn serve(&self, timeout: Duration, give_back: &dyn Fn()) {
        self.interceptor.report_implied();
        let deadline = Instant::now() + timeout;
        let mut left = timeout;
        loop {
            // SAFETY: the queue is alive as long as the producer.
            let event = unsafe { rd_kafka_queue_poll(self.queue.as_ptr(), millis(left)) };
            left = deadline.saturating_duration_since(Instant::now());
            match NonNull::new(event) {
                Some(event) => {
                    let event = Event(event);
                    self.handle(&event, give_back);
                }
                // Nothing came, or the thread is needed elsewhere.
                None => return,
            }
        }
    }

    /// Ends [`Producer::serve`], or the next one.
    pub(super) fn wake(&self) {
        // SAFETY: the queue is alive as long as the producer; the call is thread-safe.
        unsafe { rd_kafka_queue_yield(self.queue.as_ptr()) };
    }

    /// Sends records at once, for at most this long, instead of lingering.
    pub(super) fn flush(&self, within: Duration) {
        // SAFETY: the client is alive; the call is thread-safe. It returns an error code if records are left when the time is
        // over, which is expected here.
        unsafe { rd_kafka_flush(self.client.native_ptr(), millis(within)) };
    }

    /// How many records and events it holds.
    pub(super) fn outstanding(&self) -> usize {
        // SAFETY: the client is alive; the call is thread-safe.
        let outstanding = unsafe { rd_kafka_outq_len(self.client.native_ptr()) };
        // In this order: a record is in one of the two.
        usize::try_from(outstanding).unwrap_or_default() + self.interceptor.implied.lock().len()
    }

    /// Gives up the records that are not on their way.
    pub(super) fn purge_queue(&self) {
        self.purge_by(RD_KAFKA_PURGE_F_QUEUE);
    }

    /// Gives up every record.
    pub(super) fn purge(&self) {
        self.purge_by(RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    }

    fn purge_by(&self, flags: i32) {
        // SAFETY: the client is alive; the call is thread-safe. It fails only for what is no producer.
        unsafe { rd_kafka_purge(self.client.native_ptr(), flags) };
    }

    fn handle(&self, event: &Event, give_back: &dyn Fn()) {
        let context = self.client.context();
        // SAFETY: the event is alive, and what belongs to it is read here only.
        unsafe {
            match rd_kafka_event_type(event.0.as_ptr()) {
                RD_KAFKA_EVENT_DR => self.returned(event, give_back),
                RD_KAFKA_EVENT_STATS => {
                    context.stats_raw(CStr::from_ptr(rd_kafka_event_stats(event.0.as_ptr())).to_bytes());
                }
                RD_KAFKA_EVENT_ERROR => {
                    let code = Code::from(rd_kafka_event_error(event.0.as_ptr()));
                    let reason =
                        CStr::from_ptr(rd_kafka_event_error_string(event.0.as_ptr())).to_string_lossy();
                    context.error(code, reason.trim());
                }
                RD_KAFKA_EVENT_LOG => {
                    let (mut facility, mut text, mut level) = (ptr::null(), ptr::null(), 0);
                    let event = event.0.as_ptr();
                    if rd_kafka_event_log(event, &raw mut facility, &raw mut text, &raw mut level) == 0 {
                        let facility = CStr::from_ptr(facility).to_string_lossy();
                        context.log(level, facility.trim(), CStr::from_ptr(text).to_string_lossy().trim());
                    }
                }
                _ => {}
            }
        }
    }

    /// Reports the failed records of an event.
    fn returned(&self, event: &Event, give_back: &dyn Fn()) {
        loop {
            // SAFETY: the event is alive, and so are its records as long as it is.
            let message = unsafe { rd_kafka_event_message_next(event.0.as_ptr()).as_ref() };
            let Some(message) = message else { return };
            if message.err == NO_ERROR {
                // The interceptor had it.
                continue;
            }
            // SAFETY: each record has had a context, and comes back once.
            let context = unsafe { Box::from_raw(message._private.cast::<DeliveryContext>()) };
            // SAFETY: the record is alive as long as this.
            let returned = unsafe { Returned::new(message) };
            if self.client.context().returned(&returned, context) == Next::GiveBackQueue {
                give_back();
                self.give_back_queue();
            }
        }
    }

    /// Takes back what was not sent. After the event it could have sent more.
    fn give_back_queue(&self) {
        if !self.has_given_back.swap(true, Ordering::Relaxed) {
            self.purge_by(RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_NON_BLOCKING);
        }
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // What it still holds goes back: a context that is forgotten would be a receipt that is never called.
        self.purge();
        let deadline = Instant::now() + GIVE_UP_WITHIN;
        self.serve(Duration::ZERO, &|| {});
        while self.outstanding() > 0 && Instant::now() < deadline {
            self.serve(Duration::from_millis(10), &|| {});
        }
        // SAFETY: this is the last use of the queue. The client is destroyed after this, as the field is dropped.
        unsafe { rd_kafka_queue_destroy(self.queue.as_ptr()) };
    }
}

impl Interceptor {
    /// With none of librdkafka's locks held.
    fn report(&self, context: Box<DeliveryContext>) {
        // It goes on: a delivered record asks for nothing.
        let _ = self.events.on_delivery(context, Ok(()), &Record::default);
    }

    fn report_implied(&self) {
        let implied = mem::take(&mut *self.implied.lock());
        implied.into_iter().for_each(|context| self.report(context));
    }
}

/// An event of librdkafka, which ends with this.
struct Event(NonNull<rd_kafka_event_t>);

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: the event came from the queue, and is destroyed once.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

/// Called while the client is created, the only time when it takes interceptors.
///
/// # Safety
/// For librdkafka: with a client, and an [`Interceptor`] that outlives it.
unsafe extern "C" fn on_new(
    client: *mut rd_kafka_t,
    _configuration: *const rd_kafka_conf_t,
    interceptor: *mut c_void,
    _error: *mut c_char,
    _error_size: usize,
) -> rd_kafka_resp_err_t {
    // SAFETY: as the caller promises; the name lives forever.
    unsafe {
        rd_kafka_interceptor_add_on_acknowledgement(
            client,
            NAME.as_ptr(),
            Some(on_acknowledgement),
            interceptor,
        )
    }
}

/// Called once for each record: when a broker has acknowledged it, when it failed, and when it is not taken at all. Reports
/// the first of these.
///
/// # Safety
/// For librdkafka: with a record of [`Producer::produce`], and an [`Interceptor`].
unsafe extern "C" fn on_acknowledgement(
    _client: *mut rd_kafka_t,
    message: *mut rd_kafka_message_t,
    interceptor: *mut c_void,
) -> rd_kafka_resp_err_t {
    // SAFETY: as the caller promises. librdkafka makes no event of a record without an error, so that the context is taken
    // once.
    let (context, interceptor, broker) = unsafe {
        if (*message).err != NO_ERROR {
            return NO_ERROR;
        }
        let context = Box::from_raw((*message)._private.cast::<DeliveryContext>());
        (context, &*interceptor.cast::<Interceptor>(), rd_kafka_message_broker_id(message))
    };
    // Only a record's own answer notes the broker.
    if broker < 0 {
        interceptor.implied.lock().push(context);
    } else {
        interceptor.report(context);
    }
    NO_ERROR
}

/// A list of these headers for librdkafka, or null if the record has no headers.
fn headers(headers: Headers<'_>) -> *mut rd_kafka_headers_t {
    if headers.is_empty() {
        return ptr::null_mut();
    }
    // SAFETY: the list is this function's until it returns it. Names and values are copied; their lengths are those of slices,
    // which fit. The call fails only for a list that may not be changed.
    unsafe {
        let list = rd_kafka_headers_new(headers.len());
        for (name, value) in headers.iter() {
            rd_kafka_header_add(
                list,
                name.as_ptr().cast(),
                name.len().cast_signed(),
                value.as_ptr().cast(),
                value.len().cast_signed(),
            );
        }
        list
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}

#[cfg(test)]
impl Producer {
    /// As if a later answer had acknowledged a record.
    pub(super) fn imply(&self, context: Box<DeliveryContext>) {
        self.interceptor.implied.lock().push(context);
    }
}
