use std::pin::Pin;
use std::time::{Duration, Instant};

use tokio::time::{Interval, MissedTickBehavior, Sleep};

use crate::ServerConfig;

/// A client that has not connected its media by then will not.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// What it is time for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    /// A sign of life on the WebSocket.
    Ping,
    /// Asking the client for its statistics.
    Statistics,
    /// Asking the client for a key frame that was asked for too soon after another one.
    KeyFrame,
    /// The end of the time an access token grants.
    Lifetime,
    /// Giving up on a client whose media never came.
    ConnectLimit,
}

/// Everything a participant does by the clock.
#[derive(Debug)]
pub(super) struct Timers {
    ping: Interval,
    statistics: Interval,
    connect_limit: Pin<Box<Sleep>>,
    lifetime: Option<Pin<Box<Sleep>>>,
    key_frame: Option<Pin<Box<Sleep>>>,
}

impl Timers {
    pub(super) fn start(config: &ServerConfig, lifetime: Option<Duration>) -> Self {
        Self {
            ping: interval(config.ping_interval),
            statistics: interval(config.stats_interval),
            connect_limit: Box::pin(tokio::time::sleep(CONNECT_LIMIT)),
            lifetime: lifetime.map(|lifetime| Box::pin(tokio::time::sleep(lifetime))),
            key_frame: None,
        }
    }

    /// Waits for the next thing to do. Cancel safe.
    pub(super) async fn due(&mut self, connected: bool) -> Due {
        tokio::select! {
            _ = self.ping.tick() => Due::Ping,
            _ = self.statistics.tick() => Due::Statistics,
            () = &mut self.connect_limit, if !connected => Due::ConnectLimit,
            () = expired(&mut self.lifetime) => Due::Lifetime,
            () = expired(&mut self.key_frame) => {
                self.key_frame = None;
                Due::KeyFrame
            }
        }
    }

    /// All who ask until then are served by the one request; nothing if something earlier is set.
    pub(super) fn request_key_frame_at(&mut self, at: Instant) {
        self.key_frame.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at.into())));
    }
}

async fn expired(sleep: &mut Option<Pin<Box<Sleep>>>) {
    match sleep {
        Some(sleep) => sleep.as_mut().await,
        None => std::future::pending().await,
    }
}

/// Starts one period from now. A tick that comes late delays the next ones: nobody needs two at once.
fn interval(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval.reset();
    interval
}
