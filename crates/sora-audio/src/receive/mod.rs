//! The receive side: packets in at the network's pace, 10 ms of sound out at the clock's.

mod buffer;
mod comfort_noise;
mod concealment;
mod delay_target;
mod level;
mod loss;
mod time_stretch;

pub use buffer::{PacketDecoder, ReceiveBuffer, ReceiveStats};

/// Samples per second and channel in here.
const RATE: u32 = 48_000;
/// Samples per channel in 10 ms, the unit of playing.
const FRAME: usize = 480;

/// `milliseconds` as samples per channel.
const fn ms(milliseconds: i64) -> i64 {
    milliseconds * RATE as i64 / 1000
}
