//! Asks the brokers for the largest batch that a topic takes (`max.message.bytes`), by DescribeConfigs (KIP-133).
//!
//! Brokers may refuse that: it needs the right to describe the topic's configuration.

#![expect(unsafe_code, reason = "the crate asks for configurations by a client of its own only")]

use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::time::Duration;

use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_ConfigEntry_name, rd_kafka_ConfigEntry_t, rd_kafka_ConfigEntry_value,
    rd_kafka_ConfigResource_configs, rd_kafka_ConfigResource_destroy, rd_kafka_ConfigResource_new,
    rd_kafka_DescribeConfigs, rd_kafka_DescribeConfigs_result_resources, rd_kafka_ResourceType_t,
    rd_kafka_admin_op_t, rd_kafka_event_DescribeConfigs_result, rd_kafka_event_destroy, rd_kafka_event_t,
    rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_t,
};

/// How much longer the answer is waited for than librdkafka waits for the broker.
const GRACE: Duration = Duration::from_millis(100);

/// The largest batch that a topic takes, in bytes. None if no broker says so in time.
///
/// # Safety
/// The client must be alive until this returns.
pub(super) unsafe fn largest_batch(client: *mut rd_kafka_t, topic: &str, within: Duration) -> Option<usize> {
    let topic = CString::new(topic).ok()?;
    // SAFETY: the caller keeps the client alive. Each object is used only between its creation and its destruction: the
    // request copies the resource and the options; the queue is destroyed after its last use, and librdkafka keeps it as long
    // as an answer may come.
    unsafe {
        let queue = rd_kafka_queue_new(client);
        let resource =
            rd_kafka_ConfigResource_new(rd_kafka_ResourceType_t::RD_KAFKA_RESOURCE_TOPIC, topic.as_ptr());
        let options =
            rd_kafka_AdminOptions_new(client, rd_kafka_admin_op_t::RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
        // An error leaves the default, a minute: the answer is not waited for then.
        rd_kafka_AdminOptions_set_request_timeout(options, millis(within), std::ptr::null_mut(), 0);
        let mut resources = [resource];
        rd_kafka_DescribeConfigs(client, resources.as_mut_ptr(), resources.len(), options, queue);
        let event = NonNull::new(rd_kafka_queue_poll(queue, millis(within + GRACE)));
        let found = event.and_then(|event| read(event.as_ptr()));
        if let Some(event) = event {
            rd_kafka_event_destroy(event.as_ptr());
        }
        rd_kafka_AdminOptions_destroy(options);
        rd_kafka_ConfigResource_destroy(resource);
        rd_kafka_queue_destroy(queue);
        found
    }
}

/// # Safety
/// The event must be alive.
unsafe fn read(event: *mut rd_kafka_event_t) -> Option<usize> {
    // SAFETY: what is read belongs to the event. The lists have as many items as librdkafka says, none without a list.
    unsafe {
        let result = rd_kafka_event_DescribeConfigs_result(event);
        if result.is_null() {
            return None;
        }
        let mut count = 0;
        let resources = rd_kafka_DescribeConfigs_result_resources(result, &raw mut count);
        let resource = items(resources, count).first()?;
        let entries = rd_kafka_ConfigResource_configs(*resource, &raw mut count);
        items(entries, count).iter().find_map(|entry| value(*entry))
    }
}

/// # Safety
/// The list must have that many items, or be null.
unsafe fn items<'a, T>(list: *mut *const T, count: usize) -> &'a [*const T] {
    // SAFETY: as the caller promises.
    if list.is_null() { &[] } else { unsafe { std::slice::from_raw_parts(list, count) } }
}

/// # Safety
/// The entry must be alive.
unsafe fn value(entry: *const rd_kafka_ConfigEntry_t) -> Option<usize> {
    // SAFETY: name and value are null or texts that end with a zero, and belong to the entry.
    unsafe {
        let (name, value) = (rd_kafka_ConfigEntry_name(entry), rd_kafka_ConfigEntry_value(entry));
        if name.is_null() || value.is_null() || CStr::from_ptr(name) != c"max.message.bytes" {
            return None;
        }
        CStr::from_ptr(value).to_str().ok()?.parse().ok()
    }
}

fn millis(duration: Duration) -> i32 {
    i32::try_from(duration.as_millis()).unwrap_or(i32::MAX)
}
