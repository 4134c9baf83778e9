#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod compression;
mod error_code;
pub mod ids;
pub mod message;
mod redacted;
pub mod session;

pub use compression::{CompressionError, MAX_INFLATED, deflate, inflate, inflate_within};
pub use error_code::ErrorCode;
pub use message::MessageError;
pub use session::{Action, ClientSession, Event, MAX_MESSAGE, SendError, SessionConfig, Signal, WebSocketFailure};
