//! Buffers of the thread, lent for one read or one write.
//!
//! Hundreds of thousands of connections are idle at any time, so none of them owns a buffer: a connection that
//! reads or writes borrows one of the thread's and gives it back before the next connection has its turn. Borrowing nests, because a
//! WebSocket session reads through a TLS session and each of them needs a buffer; the thread keeps as many as were
//! borrowed at the same time.
//!
//! Deliberately absent: limits for one connection, and memory for what is left over. A connection that cannot finish a
//! read or write copies the rest into memory of its own.

use std::cell::RefCell;
use std::ops::{Deref, DerefMut};

/// The length of a read buffer: the largest unfinished TLS handshake message (64 KiB) and room for one more record.
pub const READ_BUFFER: usize = 96 * 1024;

/// A write buffer that grew larger than this is freed when it is given back.
const LARGEST_KEPT: usize = 256 * 1024;

thread_local! {
    static READ: RefCell<Vec<Box<[u8]>>> = const { RefCell::new(Vec::new()) };
    static WRITE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`READ_BUFFER`] bytes to read into. What it holds when it is borrowed means nothing.
#[derive(Debug)]
pub struct ReadBuffer(Box<[u8]>);

/// An empty buffer to write into.
#[derive(Debug)]
pub struct WriteBuffer(Vec<u8>);

impl ReadBuffer {
    /// Borrows a buffer until it is dropped.
    #[must_use]
    pub fn borrow() -> Self {
        let kept = READ.with_borrow_mut(Vec::pop);
        Self(kept.unwrap_or_else(|| vec![0; READ_BUFFER].into_boxed_slice()))
    }
}

impl WriteBuffer {
    /// Borrows a buffer until it is dropped.
    #[must_use]
    pub fn borrow() -> Self {
        Self(WRITE.with_borrow_mut(Vec::pop).unwrap_or_default())
    }
}

impl Default for WriteBuffer {
    /// A buffer without memory, which grows when it is written to.
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl Drop for ReadBuffer {
    fn drop(&mut self) {
        let buffer = std::mem::take(&mut self.0);
        READ.with_borrow_mut(|kept| kept.push(buffer));
    }
}

impl Drop for WriteBuffer {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if (1..=LARGEST_KEPT).contains(&buffer.capacity()) {
            buffer.clear();
            WRITE.with_borrow_mut(|kept| kept.push(buffer));
        }
    }
}

impl Deref for ReadBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl DerefMut for ReadBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.0
    }
}

impl Deref for WriteBuffer {
    type Target = Vec<u8>;

    fn deref(&self) -> &Vec<u8> {
        &self.0
    }
}

impl DerefMut for WriteBuffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_used_again_and_is_empty() {
        let mut first = WriteBuffer::borrow();
        first.extend_from_slice(b"something");
        let memory = first.as_ptr();
        drop(first);
        let second = WriteBuffer::borrow();
        assert_eq!((second.as_ptr(), second.len()), (memory, 0));
    }

    #[test]
    fn borrowing_nests() {
        let (mut outer, mut inner) = (ReadBuffer::borrow(), ReadBuffer::borrow());
        (outer[0], inner[0]) = (1, 2);
        assert_eq!((outer[0], inner[0], outer.len()), (1, 2, READ_BUFFER));
        drop((outer, inner));
        assert_eq!(READ.with_borrow(Vec::len), 2);
    }

    #[test]
    fn a_buffer_that_grew_large_is_freed() {
        WriteBuffer::borrow().reserve(LARGEST_KEPT + 1);
        assert_eq!(WRITE.with_borrow(Vec::len), 0);
    }
}
