//! Why no broker can be worked with: one name a cause, told once a minute at most.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::complaint::Complaint;

/// What keeps the publisher from its brokers. Records wait meanwhile; nothing is lost by it.
///
/// It is told from what the client says when a connection fails, which is a text: where two causes look alike from
/// here, the likelier one is named, and the log has the client's own words beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ConnectionProblem {
    /// A broker knows no such user, or another password.
    Credentials,
    /// A broker does not offer the configured SASL mechanism.
    Mechanism,
    /// A broker's certificate was signed by no authority that is trusted here.
    UntrustedCertificate,
    /// A broker's certificate is for another host name.
    HostName,
    /// A broker's certificate is not valid at this time.
    CertificateTime,
    /// A broker wants a client certificate: there is none, or it does not trust this one.
    ClientCertificate,
    /// One side speaks TLS and the other does not, or only one of them wants SASL.
    Protocol,
    /// The two sides agree on no version or cipher of TLS.
    Handshake,
    /// No broker can be connected to.
    Unreachable,
}

impl ConnectionProblem {
    /// Every problem, in the order of the enum.
    pub const ALL: [ConnectionProblem; 9] = [
        ConnectionProblem::Credentials,
        ConnectionProblem::Mechanism,
        ConnectionProblem::UntrustedCertificate,
        ConnectionProblem::HostName,
        ConnectionProblem::CertificateTime,
        ConnectionProblem::ClientCertificate,
        ConnectionProblem::Protocol,
        ConnectionProblem::Handshake,
        ConnectionProblem::Unreachable,
    ];

    /// What is wrong and where to look, in one line that holds no secret.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            ConnectionProblem::Credentials => {
                "wrong credentials: the broker refuses sasl.username or the password"
            }
            ConnectionProblem::Mechanism => {
                "the broker does not offer this mechanism: see sasl.mechanism and the broker's listener"
            }
            ConnectionProblem::UntrustedCertificate => {
                "the broker's certificate is not trusted: no authority in tls.caFile has signed it"
            }
            ConnectionProblem::HostName => {
                "the broker's certificate is for another host name: see brokers and the certificate"
            }
            ConnectionProblem::CertificateTime => {
                "the broker's certificate has expired or is not valid yet: see the certificate and the clocks"
            }
            ConnectionProblem::ClientCertificate => {
                "the broker wants a client certificate that it trusts: see tls.certFile and tls.keyFile"
            }
            ConnectionProblem::Protocol => {
                "the broker speaks another protocol: see tls.enabled, sasl.mechanism and the broker's listener"
            }
            ConnectionProblem::Handshake => {
                "no TLS handshake with the broker succeeds: see the versions and ciphers of both sides"
            }
            ConnectionProblem::Unreachable => {
                "no kafka broker can be reached: see brokers, the network and whether they run"
            }
        }
    }

    /// Whether the brokers are there but do not let this client in.
    pub(crate) fn is_refusal(self) -> bool {
        self != ConnectionProblem::Unreachable
    }
}

impl fmt::Display for ConnectionProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The present problem of the client that counts, which is the newest.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    state: Mutex<State>,
    /// Whether there is one: read for every record that is delivered.
    troubled: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    client: u64,
    current: Option<ConnectionProblem>,
    complaints: [Complaint; ConnectionProblem::ALL.len()],
}

impl Problems {
    /// From now on this client counts. What it meets is told at once, though another one met the same just before.
    pub(crate) fn next_client(&self, client: u64) {
        *self.state.lock() = State { client, ..State::default() };
        self.troubled.store(false, Ordering::Relaxed);
    }

    /// Notes a client's problem. If it is to be told now: how often it was not since the last time.
    pub(crate) fn met(&self, client: u64, problem: ConnectionProblem, now: Instant) -> Option<u64> {
        let mut state = self.state.lock();
        let says_less =
            problem == ConnectionProblem::Unreachable && state.current.is_some_and(|known| known != problem);
        // That all connections are gone follows from whatever ended them.
        if client != state.client || says_less {
            return None;
        }
        state.current = Some(problem);
        self.troubled.store(true, Ordering::Relaxed);
        state.complaints[problem as usize].due(now)
    }

    /// A broker has been reached. Returns the problem that is over by that.
    pub(crate) fn reached(&self, client: u64) -> Option<ConnectionProblem> {
        if !self.troubled.load(Ordering::Relaxed) {
            return None;
        }
        let mut state = self.state.lock();
        if client != state.client {
            return None;
        }
        self.troubled.store(false, Ordering::Relaxed);
        state.current.take()
    }

    /// The client that counts.
    pub(crate) fn client(&self) -> u64 {
        self.state.lock().client
    }

    /// The present problem.
    pub(crate) fn current(&self) -> Option<ConnectionProblem> {
        self.state.lock().current
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn every_problem_has_a_text_of_its_own() {
        let texts: std::collections::HashSet<_> = ConnectionProblem::ALL.iter().map(|p| p.as_str()).collect();
        assert_eq!(texts.len(), ConnectionProblem::ALL.len());
        for (i, problem) in ConnectionProblem::ALL.into_iter().enumerate() {
            assert_eq!(problem as usize, i);
        }
    }

    #[test]
    fn a_problem_is_told_once_a_minute_and_over_when_a_broker_is_reached() {
        let problems = Problems::default();
        let start = Instant::now();
        assert_eq!(problems.met(0, ConnectionProblem::Credentials, start), Some(0));
        assert_eq!(problems.met(0, ConnectionProblem::Credentials, start), None);
        assert_eq!(problems.met(0, ConnectionProblem::Unreachable, start), None, "it follows from the other");
        assert_eq!(problems.current(), Some(ConnectionProblem::Credentials));
        let later = start + Duration::from_secs(60);
        assert_eq!(problems.met(0, ConnectionProblem::Credentials, later), Some(1));
        assert_eq!(problems.reached(0), Some(ConnectionProblem::Credentials));
        assert_eq!((problems.reached(0), problems.current()), (None, None));
    }

    #[test]
    fn only_the_newest_client_counts() {
        let problems = Problems::default();
        let now = Instant::now();
        problems.met(0, ConnectionProblem::Credentials, now);
        problems.next_client(1);
        assert_eq!(problems.current(), None);
        assert_eq!(problems.met(0, ConnectionProblem::Credentials, now), None);
        assert_eq!(problems.met(1, ConnectionProblem::Credentials, now), Some(0));
        assert_eq!(problems.reached(0), None, "the old one's last answers");
    }
}
