#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod addresses;
pub mod client;
mod clock;
mod peer_driver;
mod tls;
pub mod websocket;

pub use addresses::local_addresses;
pub use clock::{ntp_now, unix_time_us};
pub use peer_driver::{PeerDriver, UdpPorts};
pub use tls::{TlsError, TlsOptions};
