use std::io;
use std::time::Duration;

/// What a server does beyond listening. Every member has a default: an open server.
#[derive(Debug, Clone)]
pub struct Options {
    /// Time between two `ping` messages on a WebSocket.
    pub ping_interval: Duration,
    /// Time between two requests for a client's statistics.
    pub stats_interval: Duration,
}

impl Default for Options {
    fn default() -> Self {
        // Real Sora pings at about this pace.
        Self { ping_interval: Duration::from_secs(5), stats_interval: Duration::from_secs(10) }
    }
}

impl Options {
    /// Says what cannot work before anything is started.
    pub(crate) fn validate(&self) -> io::Result<()> {
        let invalid = |reason: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
        if self.ping_interval.is_zero() || self.stats_interval.is_zero() {
            return invalid("expected intervals longer than zero");
        }
        Ok(())
    }
}
