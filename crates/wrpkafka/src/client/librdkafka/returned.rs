//! A record that librdkafka gives back undelivered, as long as its event is alive.

#![expect(unsafe_code, reason = "the record is librdkafka's")]

use std::ffi::{CStr, c_void};
use std::marker::PhantomData;
use std::ptr;
use std::slice;

use rdkafka::bindings::{
    rd_kafka_header_get_all, rd_kafka_message_headers, rd_kafka_message_status, rd_kafka_message_t,
    rd_kafka_msg_status_t, rd_kafka_resp_err_t,
};
use rdkafka::error::RDKafkaErrorCode as Code;

use crate::delivery::Record;
use crate::routing::HeaderBlock;

pub(super) struct Returned<'a> {
    message: *const rd_kafka_message_t,
    _event: PhantomData<&'a rd_kafka_message_t>,
}

impl<'a> Returned<'a> {
    /// # Safety
    /// It must be a record of librdkafka's, of a delivery report.
    pub(super) unsafe fn new(message: &'a rd_kafka_message_t) -> Self {
        Self { message, _event: PhantomData }
    }

    pub(super) fn error(&self) -> Code {
        // SAFETY: the record is alive.
        unsafe { (*self.message).err }.into()
    }

    /// Whether a broker may have written it.
    pub(super) fn may_be_written(&self) -> bool {
        // SAFETY: the record is alive.
        let status = unsafe { rd_kafka_message_status(self.message) };
        status == rd_kafka_msg_status_t::RD_KAFKA_MSG_STATUS_POSSIBLY_PERSISTED
    }

    pub(super) fn to_record(&self) -> Record {
        let headers = self.headers();
        // SAFETY: the record is alive, and key and value are its own.
        let (key, value) = unsafe {
            let message = &*self.message;
            (bytes(message.key, message.key_len), bytes(message.payload, message.len))
        };
        Record::new(key, value.unwrap_or_default(), headers.as_ref())
    }

    fn headers(&self) -> HeaderBlock {
        let mut block = HeaderBlock::default();
        let mut list = ptr::null_mut();
        // SAFETY: the record is alive; its headers, with their names and values, are its own. Names end with a zero byte.
        unsafe {
            if rd_kafka_message_headers(self.message, &raw mut list) != NO_ERROR {
                return block;
            }
            for index in 0.. {
                let (mut name, mut value, mut length) = (ptr::null(), ptr::null(), 0);
                let found =
                    rd_kafka_header_get_all(list, index, &raw mut name, &raw mut value, &raw mut length);
                if found != NO_ERROR {
                    break;
                }
                let name = CStr::from_ptr(name).to_string_lossy();
                block.push(&name, bytes(value, length).unwrap_or_default());
            }
        }
        block
    }
}

const NO_ERROR: rd_kafka_resp_err_t = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR;

/// # Safety
/// There must be that many bytes, or none at all.
unsafe fn bytes<'a>(start: *const c_void, length: usize) -> Option<&'a [u8]> {
    // SAFETY: as the caller promises.
    (!start.is_null()).then(|| unsafe { slice::from_raw_parts(start.cast(), length) })
}
