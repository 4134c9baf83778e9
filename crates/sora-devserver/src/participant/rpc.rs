//! JSON-RPC 2.0 on the data channel `rpc`.

use serde_json::{Map, Value, json};

use super::{Participant, check_request};
use crate::simulcast::{Request, parse_request, word};

const REQUEST_SIMULCAST_RID: &str = "2025.2.0/RequestSimulcastRid";
/// What an offer lists.
pub(super) const METHODS: [&str; 1] = [REQUEST_SIMULCAST_RID];
/// Calls are a few words long.
const MAX_MESSAGE: usize = 16 << 10;

/// Why a call fails; the codes are those of JSON-RPC 2.0 section 5.1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum RpcError {
    #[error("expected JSON")]
    Parse,
    #[error("expected a JSON-RPC 2.0 request of at most {} KiB; batches are not supported", MAX_MESSAGE >> 10)]
    Request,
    #[error("this server does not know the method")]
    Method,
    #[error("{0}")]
    Params(String),
}

impl RpcError {
    fn code(&self) -> i32 {
        match self {
            Self::Parse => -32_700,
            Self::Request => -32_600,
            Self::Method => -32_601,
            Self::Params(_) => -32_602,
        }
    }

    fn response(&self, id: &Value) -> String {
        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": self.code(), "message": self.to_string() } }).to_string()
    }
}

/// A well-formed request.
#[derive(Debug, Clone, PartialEq)]
struct Call {
    /// Without one nobody waits for an answer.
    id: Option<Value>,
    method: String,
    params: Option<Value>,
}

impl Call {
    /// The second value of an error is the id to answer with.
    fn parse(message: &[u8]) -> Result<Self, (RpcError, Value)> {
        if message.len() > MAX_MESSAGE {
            return Err((RpcError::Request, Value::Null));
        }
        let value = serde_json::from_slice(message).map_err(|_| (RpcError::Parse, Value::Null))?;
        let Value::Object(mut call) = value else { return Err((RpcError::Request, Value::Null)) };
        let id = call.remove("id");
        if id.as_ref().is_some_and(|id| !(id.is_string() || id.is_number() || id.is_null())) {
            return Err((RpcError::Request, Value::Null));
        }
        match (call.remove("jsonrpc"), call.remove("method")) {
            (Some(Value::String(version)), Some(Value::String(method))) if version == "2.0" => {
                Ok(Self { id, method, params: call.remove("params") })
            }
            _ => Err((RpcError::Request, id.unwrap_or_default())),
        }
    }
}

/// The members of [`REQUEST_SIMULCAST_RID`].
fn simulcast_rid(params: Option<&Value>) -> Result<(Request, Option<&str>), RpcError> {
    let invalid = |expected: &str| RpcError::Params(format!("expected {expected}"));
    let params: &Map<String, Value> =
        params.and_then(Value::as_object).ok_or_else(|| invalid("an object in params"))?;
    let rid = params.get("rid").and_then(Value::as_str).and_then(parse_request);
    let rid = rid.ok_or_else(|| invalid("none, r0, r1 or r2 in rid"))?;
    match params.get("sender_connection_id") {
        None | Some(Value::Null) => Ok((rid, None)),
        Some(Value::String(sender)) => Ok((rid, Some(sender))),
        Some(_) => Err(invalid("a string in sender_connection_id")),
    }
}

impl Participant {
    /// Takes one message of the client and answers it if it wants an answer.
    pub(super) fn rpc_message(&mut self, message: &[u8]) {
        let response = match Call::parse(message) {
            Ok(call) => {
                let outcome = self.rpc_call(&call);
                let Some(id) = call.id else { return };
                match outcome {
                    Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }).to_string(),
                    Err(error) => error.response(&id),
                }
            }
            Err((error, id)) => error.response(&id),
        };
        self.send_channel("rpc", response.as_bytes());
    }

    fn rpc_call(&mut self, call: &Call) -> Result<Value, RpcError> {
        if call.method != REQUEST_SIMULCAST_RID {
            return Err(RpcError::Method);
        }
        let (request, sender) = simulcast_rid(call.params.as_ref())?;
        let checked = check_request(&self.membership.roster.borrow(), &self.member, sender);
        let sender = checked.map_err(|error| RpcError::Params(error.to_string()))?;
        let mut result = json!({
            "channel_id": self.membership.channel_id, "receiver_connection_id": &*self.member.connection_id,
            "rid": word(request),
        });
        if let Some(sender) = &sender {
            result["sender_connection_id"] = json!(&**sender);
        }
        self.request_layer(sender, request);
        Ok(result)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_request_is_told_so_with_its_id_as_far_as_it_can_be_read() {
        let long = json!({ "jsonrpc": "2.0", "id": 1, "method": "m".repeat(MAX_MESSAGE) }).to_string();
        let deep = "[".repeat(10_000);
        let cases: [(&[u8], RpcError, Value); 11] = [
            (b"", RpcError::Parse, Value::Null),
            (b"{", RpcError::Parse, Value::Null),
            (b"\xff\xfe", RpcError::Parse, Value::Null),
            (deep.as_bytes(), RpcError::Parse, Value::Null),
            (long.as_bytes(), RpcError::Request, Value::Null),
            (b"[]", RpcError::Request, Value::Null),
            (b"1", RpcError::Request, Value::Null),
            (br#"{"jsonrpc":"2.0","id":{},"method":"m"}"#, RpcError::Request, Value::Null),
            (br#"{"jsonrpc":"1.0","id":7,"method":"m"}"#, RpcError::Request, json!(7)),
            (br#"{"jsonrpc":"2.0","id":"a","method":7}"#, RpcError::Request, json!("a")),
            (br#"{"id":"a","method":"m"}"#, RpcError::Request, json!("a")),
        ];
        for (message, error, id) in cases {
            assert_eq!(Call::parse(message), Err((error, id)), "{:?}", String::from_utf8_lossy(message));
        }
    }

    #[test]
    fn a_request_has_an_id_and_a_notification_has_none() {
        let parse = |text: &str| Call::parse(text.as_bytes()).expect("a request").id;
        assert_eq!(parse(r#"{"jsonrpc":"2.0","method":"m"}"#), None);
        assert_eq!(parse(r#"{"jsonrpc":"2.0","method":"m","id":null}"#), Some(Value::Null));
        assert_eq!(parse(r#"{"jsonrpc":"2.0","method":"m","id":1.5}"#), Some(json!(1.5)));
    }

    #[test]
    fn params_are_a_layer_and_maybe_a_sender() {
        let read = |params: Value| simulcast_rid(Some(&params)).map(|(rid, sender)| (rid, sender.map(str::to_owned)));
        assert_eq!(read(json!({ "rid": "none" })), Ok((None, None)));
        let one = read(json!({ "rid": "r2", "sender_connection_id": "S", "more": 1 })).expect("good");
        assert_eq!((word(one.0), one.1.as_deref()), ("r2", Some("S")));
        let invalid = [
            json!([]),
            json!({}),
            json!({ "rid": 1 }),
            json!({ "rid": "r3" }),
            json!({ "rid": "r0", "sender_connection_id": 1 }),
        ];
        for params in invalid {
            assert_eq!(read(params.clone()).map_err(|error| error.code()), Err(-32_602), "{params}");
        }
        assert_eq!(simulcast_rid(None).map_err(|error| error.code()), Err(-32_602));
    }
}
