//! What goes over the transport, counted.

use std::time::Instant;

/// Datagrams and their bytes, one way.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Flow {
    pub(crate) packets: u64,
    pub(crate) bytes: u64,
    pub(crate) last: Option<Instant>,
}

impl Flow {
    fn count(&mut self, now: Instant, bytes: usize) {
        self.packets += 1;
        self.bytes += bytes as u64;
        self.last = Some(now);
    }
}

/// Both ways: all datagrams, and those without connectivity checks, as W3C webrtc-stats counts for a transport and for a
/// candidate pair.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Traffic {
    pub(crate) sent: Flow,
    pub(crate) received: Flow,
    pub(crate) data_sent: Flow,
    pub(crate) data_received: Flow,
}

impl Traffic {
    pub(crate) fn sent(&mut self, now: Instant, bytes: usize, is_check: bool) {
        self.sent.count(now, bytes);
        if !is_check {
            self.data_sent.count(now, bytes);
        }
    }

    pub(crate) fn received(&mut self, now: Instant, bytes: usize, is_check: bool) {
        self.received.count(now, bytes);
        if !is_check {
            self.data_received.count(now, bytes);
        }
    }
}
