//! The messages, both directions. Readers are lenient about what they do not need and strict about what they do.

mod connect;
mod data_channel;
mod notify;
mod offer;
mod small;

pub use connect::{AudioOptions, Connect, Role, VideoOptions};
pub use data_channel::{DataChannelDirection, DataChannelOptions, is_valid_label};
pub use notify::{ConnectionCreated, ConnectionDestroyed, NotifyHead, Participant};
pub use offer::{Encoding, IceServer, Offer, OfferConfig, OfferDataChannel, OfferMid};
pub use small::{ClientMessage, ServerMessage};
pub(crate) use small::{disconnect, sdp_message};

/// Why a message cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MessageError {
    /// It is not JSON, or not an object.
    #[error("expected a JSON object: {0}")]
    NotJson(String),
    /// It has no `type`, or one that is not a string.
    #[error("expected a string in \"type\"")]
    NoType,
    /// A field it needs is absent or has another type.
    #[error("message {message_type:?}: {reason}")]
    Field {
        /// The message's type.
        message_type: String,
        /// What is wrong.
        reason: String,
    },
}
