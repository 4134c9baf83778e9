//! The wall clock, for the sans-IO crates that take it as an argument.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds between the NTP epoch (1900) and the Unix epoch (1970).
const NTP_UNIX_OFFSET: u64 = 2_208_988_800;

fn since_epoch() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// NTP time now, 32.32 fixed point.
#[must_use]
pub fn ntp_now() -> u64 {
    let now = since_epoch();
    let fraction = (u64::from(now.subsec_nanos()) << 32) / 1_000_000_000;
    (now.as_secs() + NTP_UNIX_OFFSET) << 32 | fraction
}

/// Microseconds since the Unix epoch.
#[must_use]
pub fn unix_time_us() -> i64 {
    i64::try_from(since_epoch().as_micros()).unwrap_or(i64::MAX)
}
