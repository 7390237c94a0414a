//! The buffers that a publishing thread encodes into, used again for the next message.

use std::cell::Cell;

use crate::routing::HeaderBlock;

/// Buffers that a message has grown beyond this are not kept, in bytes.
const KEPT: usize = 256 << 10;

#[derive(Default)]
pub(crate) struct Scratch {
    pub(crate) value: Vec<u8>,
    pub(crate) headers: HeaderBlock,
}

thread_local! {
    static SCRATCH: Cell<Option<Box<Scratch>>> = const { Cell::new(None) };
}

/// Runs `work` with empty buffers. If `work` publishes itself, as a receipt may, that has buffers of its own.
pub(crate) fn with<T>(work: impl FnOnce(&mut Scratch) -> T) -> T {
    let mut scratch = SCRATCH.take().unwrap_or_default();
    scratch.value.clear();
    scratch.headers.clear();
    let result = work(&mut scratch);
    if scratch.value.capacity() <= KEPT && scratch.headers.capacity() <= KEPT {
        SCRATCH.set(Some(scratch));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_work_has_buffers_of_its_own() {
        with(|outer| {
            outer.value.extend(b"outer");
            with(|inner| {
                assert!(inner.value.is_empty());
                inner.value.extend(b"inner");
            });
            assert_eq!(outer.value, b"outer");
        });
    }

    #[test]
    fn a_buffer_that_grew_large_is_not_kept() {
        with(|scratch| scratch.value.reserve(KEPT + 1));
        with(|scratch| assert!(scratch.value.capacity() <= KEPT));
    }
}
