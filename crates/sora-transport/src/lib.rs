#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod addresses;
pub mod client;
mod clock;
mod dial;
mod peer_driver;
pub mod proxy;
mod relay_socket;
mod tls;
pub mod websocket;

pub use addresses::local_addresses;
pub use clock::{ntp_now, unix_time_us};
pub use peer_driver::{PeerDriver, UdpPorts};
pub use relay_socket::RelayOptions;
pub use tls::{Pem, TlsError, TlsOptions};
