#![doc = include_str!("../README.md")]
//!
//! [`PeerConnection`] is the whole of it. The server side offers ([`PeerConnection::create_offer`]), the client side
//! answers ([`PeerConnection::create_answer`]); there is no glare to resolve because only servers offer.

#![forbid(unsafe_code)]

mod answer;
mod codec_filter;
mod connection;
mod dtls;
mod error;
mod ice;
mod offer;
pub mod relay;
mod relay_server;
mod relay_stream;
mod rtp;
mod sctp;
pub mod sdp;
mod stats;
mod traffic;
mod transceiver;

pub use answer::OfferChanges;
pub use codec_filter::CodecFilter;
pub use connection::{ConnectionState, Event, PeerConfig, PeerConnection, Side, Transmit};
pub use dtls::Certificate;
pub use error::{PeerError, SendError};
pub use rtp::send::OutboundRtp;
pub use sctp::{ChannelId, DataChannelInit};
pub use sdp::{Codec, Direction, MediaKind, SimulcastRid};
pub use sora_rtp::RtpPacket;
pub use transceiver::{TransceiverId, TransceiverInfo, TransceiverInit};
