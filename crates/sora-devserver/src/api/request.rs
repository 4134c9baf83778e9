use serde_json::{Map, Value};

use super::ApiError;
use crate::simulcast;

/// Ids are 1 to 255 bytes, as in `connect`.
const MAX_ID_BYTES: usize = 255;

/// The JSON object a call carries. Calls without parameters may leave the body away.
pub(super) struct Request(Map<String, Value>);

impl Request {
    pub(super) fn parse(body: &[u8]) -> Result<Self, ApiError> {
        if body.is_empty() {
            return Ok(Self(Map::new()));
        }
        match serde_json::from_slice(body) {
            Ok(Value::Object(object)) => Ok(Self(object)),
            _ => Err(ApiError::InvalidJson),
        }
    }

    /// An id that has to be there.
    pub(super) fn id(&self, parameter: &'static str) -> Result<&str, ApiError> {
        let id = self.0.get(parameter).and_then(Value::as_str).filter(|id| (1..=MAX_ID_BYTES).contains(&id.len()));
        id.ok_or(ApiError::InvalidParameter { parameter, expected: "a string of 1 to 255 bytes" })
    }

    /// An id that may be left away.
    pub(super) fn optional_id(&self, parameter: &'static str) -> Result<Option<&str>, ApiError> {
        match self.0.get(parameter) {
            None | Some(Value::Null) => Ok(None),
            Some(_) => self.id(parameter).map(Some),
        }
    }

    /// A simulcast layer, or `none`.
    pub(super) fn rid(&self) -> Result<simulcast::Request, ApiError> {
        let rid = self.0.get("rid").and_then(Value::as_str).and_then(simulcast::parse_request);
        rid.ok_or(ApiError::InvalidParameter { parameter: "rid", expected: "none, r0, r1 or r2" })
    }

    /// Any JSON, but it has to be there.
    pub(super) fn json(&self, parameter: &'static str) -> Result<&Value, ApiError> {
        self.0.get(parameter).ok_or(ApiError::InvalidParameter { parameter, expected: "JSON" })
    }
}
