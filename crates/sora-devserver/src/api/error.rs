use hyper::StatusCode;
use serde_json::{Value, json};

use crate::participant::RequestError;

/// Why the API did not do what it was asked. Sora answers with a word in `error_type`; the text in `reason` is ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ApiError {
    /// Browsers send GET and OPTIONS unasked; neither may do anything.
    #[error("expected POST")]
    MethodNotAllowed,
    #[error("expected a header x-sora-target such as Sora_20151104.DisconnectConnection")]
    MissingTarget,
    #[error("this server does not know the operation; its README lists those it does")]
    UnsupportedTarget,
    #[error("expected a body of at most {} KiB", super::MAX_BODY / 1024)]
    BodyTooLarge,
    #[error("the body did not come in time")]
    BodyTimeout,
    #[error("expected a JSON object")]
    InvalidJson,
    #[error("expected {expected} in {parameter:?}")]
    InvalidParameter { parameter: &'static str, expected: &'static str },
    #[error("nobody is in this channel")]
    ChannelNotFound,
    #[error("no such connection is in this channel")]
    ConnectionNotFound,
    #[error("this connection sends no video")]
    VideoNotSent,
    #[error("this connection receives no video")]
    VideoNotReceived,
    #[error("in a spotlight channel the focus decides which layer is received")]
    SpotlightChannel,
    /// Its queue is full or its task does not answer.
    #[error("the connection does not keep up; try again")]
    ConnectionBusy,
}

impl ApiError {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::MethodNotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::ChannelNotFound | Self::ConnectionNotFound => StatusCode::NOT_FOUND,
            Self::ConnectionBusy => StatusCode::SERVICE_UNAVAILABLE,
            Self::MissingTarget
            | Self::UnsupportedTarget
            | Self::InvalidJson
            | Self::InvalidParameter { .. }
            | Self::VideoNotSent
            | Self::VideoNotReceived
            | Self::SpotlightChannel => StatusCode::BAD_REQUEST,
        }
    }

    fn error_type(&self) -> &'static str {
        match self {
            Self::MethodNotAllowed => "METHOD-NOT-ALLOWED",
            Self::MissingTarget => "MISSING-TARGET",
            Self::UnsupportedTarget => "UNSUPPORTED-TARGET",
            Self::BodyTooLarge => "BODY-TOO-LARGE",
            Self::BodyTimeout => "BODY-TIMEOUT",
            Self::InvalidJson => "INVALID-JSON",
            Self::InvalidParameter { .. } => "INVALID-PARAMETER",
            Self::ChannelNotFound => "CHANNEL-NOT-FOUND",
            Self::ConnectionNotFound => "CONNECTION-NOT-FOUND",
            Self::VideoNotSent => "VIDEO-NOT-SENT",
            Self::VideoNotReceived => "VIDEO-NOT-RECEIVED",
            Self::SpotlightChannel => "SPOTLIGHT-CHANNEL",
            Self::ConnectionBusy => "CONNECTION-BUSY",
        }
    }

    pub(crate) fn to_json(&self) -> Value {
        json!({ "error_type": self.error_type(), "reason": self.to_string() })
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::UnknownSender => Self::ConnectionNotFound,
            RequestError::Spotlight => Self::SpotlightChannel,
        }
    }
}
