//! Where a connection is between two requests, as its stream and its HTTP service see it together.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::Waker;

use futures_util::task::AtomicWaker;

/// Where a connection is in its exchange of requests and responses.
///
/// The stream sees a request begin and a response being flushed, the service sees a request arrive and its response
/// finished. A response is *owed* from the arrival of its request until it is flushed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum State {
    /// A header is arriving, or the first one is waited for. No response is owed.
    Header,
    /// The header of the next request is arriving and the last response is not flushed yet: the client pipelines.
    PipelinedHeader,
    /// A request has arrived and is being answered.
    Answering,
    /// The response is finished, but not flushed yet.
    Unflushed,
    /// The response is flushed and the next request is waited for.
    Idle,
}

/// The state of one connection, shared by its stream and its service, which both run in the connection's task.
#[derive(Debug)]
pub(in crate::server) struct SharedState {
    state: AtomicU8,
    /// The connection's task, if it began to wait for bytes while a request was being answered. No deadline runs then,
    /// and hyper does not read from the socket again by itself once the response is written.
    reader: AtomicWaker,
    /// Whether the last header had both `Content-Length` and `Transfer-Encoding`.
    is_ambiguous: AtomicBool,
}

/// A request that is being answered: from its arrival until the body of its response is dropped.
#[derive(Debug)]
pub(in crate::server) struct Answering(Arc<SharedState>);

impl State {
    const ALL: [Self; 5] =
        [Self::Header, Self::PipelinedHeader, Self::Answering, Self::Unflushed, Self::Idle];

    /// Bytes have arrived. While a request is being answered they belong to its body, or hyper keeps them.
    fn on_bytes(self) -> Self {
        match self {
            Self::Idle => Self::Header,
            Self::Unflushed => Self::PipelinedHeader,
            Self::Header | Self::PipelinedHeader | Self::Answering => self,
        }
    }

    /// Everything that was written is flushed.
    fn on_flush(self) -> Self {
        match self {
            Self::Unflushed => Self::Idle,
            Self::PipelinedHeader => Self::Header,
            Self::Header | Self::Answering | Self::Idle => self,
        }
    }

    /// Whether a response of ours is still to be written or flushed.
    pub(super) fn owes_response(self) -> bool {
        match self {
            Self::PipelinedHeader | Self::Answering | Self::Unflushed => true,
            Self::Header | Self::Idle => false,
        }
    }
}

impl SharedState {
    /// A connection that waits for its first request.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: AtomicU8::new(State::Header as u8),
            reader: AtomicWaker::new(),
            is_ambiguous: AtomicBool::new(false),
        })
    }

    /// A request has arrived.
    pub(in crate::server) fn request_arrived(self: &Arc<Self>) -> Answering {
        self.set(State::Answering);
        Answering(Arc::clone(self))
    }

    pub(super) fn get(&self) -> State {
        State::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Bytes have arrived. Returns the state that they belong to, and whether they begin a request.
    pub(super) fn bytes_arrived(&self) -> (State, bool) {
        let before = self.get();
        let after = before.on_bytes();
        self.set(after);
        (after, after != before)
    }

    pub(super) fn flushed(&self) {
        self.set(self.get().on_flush());
    }

    pub(super) fn set_ambiguous(&self, is_ambiguous: bool) {
        self.is_ambiguous.store(is_ambiguous, Ordering::Relaxed);
    }

    /// Wakes the connection's task when the request that is being answered now is answered. If it has been answered
    /// since `seen` was read, that is at once.
    pub(super) fn wake_when_answered(&self, seen: State, reader: &Waker) {
        self.reader.register(reader);
        if self.get() != seen {
            reader.wake_by_ref();
        }
    }

    fn set(&self, state: State) {
        self.state.store(state as u8, Ordering::Relaxed);
    }
}

impl Answering {
    /// Whether the request's header had both `Content-Length` and `Transfer-Encoding`.
    pub(in crate::server) fn is_ambiguous(&self) -> bool {
        self.0.is_ambiguous.load(Ordering::Relaxed)
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.set(State::Unflushed);
        self.0.reader.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_at_the_place_of_its_number() {
        for (place, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(state as usize, place);
        }
    }

    #[test]
    fn a_response_is_owed_from_the_request_to_the_flush() {
        let state = SharedState::new();
        assert_eq!(state.bytes_arrived(), (State::Header, false), "the first request needs no reset");
        let answering = state.request_arrived();
        assert_eq!(state.bytes_arrived(), (State::Answering, false));
        state.flushed();
        assert!(state.get().owes_response());
        drop(answering);
        assert!(state.get().owes_response());
        state.flushed();
        assert!(!state.get().owes_response());
        assert_eq!(state.bytes_arrived(), (State::Header, true));
    }

    #[test]
    fn a_pipelined_request_leaves_the_last_response_owed() {
        let state = SharedState::new();
        drop(state.request_arrived());
        assert_eq!(state.bytes_arrived(), (State::PipelinedHeader, true));
        assert!(state.get().owes_response());
        state.flushed();
        assert_eq!(state.get(), State::Header);
    }
}
