//! The part of Sora's HTTP API that tests and tools need: POST with `x-sora-target` and a JSON body.

use hyper::StatusCode;
use serde_json::{Value, json};

use crate::Shared;
use crate::channel::{Control, Member, Roster};

/// What the page shows.
pub(crate) fn channels(shared: &Shared) -> Value {
    let channels = shared.registry.snapshot();
    channels
        .iter()
        .map(|(id, roster)| json!({ "channel_id": id, "connections": roster.iter().map(|m| describe(id, m)).collect::<Vec<_>>() }))
        .collect()
}

fn describe(channel_id: &str, member: &Member) -> Value {
    json!({
        "channel_id": channel_id, "connection_id": &*member.connection_id, "client_id": member.client_id,
        "bundle_id": member.bundle_id, "role": member.role.as_str(), "audio": member.audio, "video": member.video,
        "connected": member.connected, "minutes": member.joined.elapsed().as_secs() / 60,
        "tracks": member.publications.iter().map(|p| format!("{} {}", p.kind.as_str(), p.codec.name)).collect::<Vec<_>>(),
    })
}

fn error(status: StatusCode, error_type: &str) -> (StatusCode, String) {
    (status, json!({ "error_type": error_type }).to_string())
}

pub(crate) fn call(shared: &Shared, target: Option<&str>, body: &[u8]) -> (StatusCode, String) {
    let Some((_, operation)) = target.and_then(|target| target.split_once('.')) else {
        return error(StatusCode::BAD_REQUEST, "MISSING-TARGET");
    };
    let body: Value = if body.is_empty() { json!({}) } else { serde_json::from_slice(body).unwrap_or(Value::Null) };
    if !body.is_object() {
        return error(StatusCode::BAD_REQUEST, "INVALID-JSON");
    }
    let roster = body["channel_id"].as_str().and_then(|id| shared.registry.members(id)).unwrap_or_default();
    let one = || roster.iter().find(|m| body["connection_id"].as_str() == Some(&*m.connection_id));
    let done = (StatusCode::OK, "{}".to_owned());
    match operation {
        "ListChannelConnections" => {
            let id = body["channel_id"].as_str().unwrap_or_default();
            let list: Vec<Value> = roster.iter().map(|member| describe(id, member)).collect();
            (StatusCode::OK, Value::from(list).to_string())
        }
        "DisconnectConnection" => match one() {
            Some(member) => tell(member, Control::Disconnect { reason: "DISCONNECTED-API" }, done),
            None => error(StatusCode::NOT_FOUND, "CONNECTION-NOT-FOUND"),
        },
        "DisconnectChannel" => to_all(&roster, || Control::Disconnect { reason: "DISCONNECTED-CHANNEL-API" }, done),
        "PushChannel" => {
            let text: std::sync::Arc<str> = json!({ "type": "push", "data": body["data"] }).to_string().into();
            to_all(&roster, || Control::Push(text.clone()), done)
        }
        "RequestKeyFrame" => match one() {
            Some(member) => tell(member, Control::KeyFrame, done),
            None => error(StatusCode::NOT_FOUND, "CONNECTION-NOT-FOUND"),
        },
        _ => error(StatusCode::BAD_REQUEST, "UNSUPPORTED-TARGET"),
    }
}

fn tell(member: &Member, control: Control, done: (StatusCode, String)) -> (StatusCode, String) {
    match member.control.try_send(control) {
        Ok(()) => done,
        Err(_) => error(StatusCode::SERVICE_UNAVAILABLE, "CONNECTION-BUSY"),
    }
}

fn to_all(roster: &Roster, control: impl Fn() -> Control, done: (StatusCode, String)) -> (StatusCode, String) {
    if roster.is_empty() {
        return error(StatusCode::NOT_FOUND, "CHANNEL-NOT-FOUND");
    }
    roster
        .iter()
        .map(|member| tell(member, control(), done.clone()))
        .find(|(status, _)| *status != StatusCode::OK)
        .unwrap_or(done)
}
