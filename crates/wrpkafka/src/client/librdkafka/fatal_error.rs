//! Provokes a fatal error in a real client, for the publisher's test of it.

use std::sync::Arc;
use std::sync::mpsc::Sender;

use parking_lot::Mutex;
use rdkafka::bindings::rd_kafka_test_fatal_error;
use rdkafka::types::RDKafkaRespErr;

use super::create;
use crate::client::{Client, Connect};

/// A running client.
pub(crate) struct ClientHandle(usize);

/// Builds real clients and sends a handle of each.
pub(crate) fn connect(handles: Sender<ClientHandle>) -> Connect {
    let handles = Mutex::new(handles);
    Box::new(move |config, events| {
        let client = create(config, None, Arc::clone(&events))?;
        // The test may have ended.
        let _ = handles.lock().send(ClientHandle(client.producer.client().native_ptr() as usize));
        Ok(Box::new(client) as Box<dyn Client>)
    })
}

impl ClientHandle {
    /// Makes the client fail for good, as a broker can. The client must still be in use.
    #[expect(unsafe_code, reason = "librdkafka's provocation of a fatal error has no safe wrapper")]
    pub(crate) fn fail(&self) {
        // SAFETY: the client lives until its fatal error has been handled, and the function copies the text.
        unsafe {
            rd_kafka_test_fatal_error(
                self.0 as *mut _,
                RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER,
                c"provoked by a test".as_ptr(),
            );
        }
    }
}
