//! Sora's HTTP API as far as a development server has something to say: POST with `x-sora-target` and a JSON body.

mod error;
mod request;
mod statistics;

use std::sync::Arc;

use serde_json::{Value, json};

use crate::Shared;
use crate::channel::{Control, Member, Roster};
use crate::participant::check_request;
pub(crate) use error::ApiError;
use request::Request;

/// A push carries the program's own data; nothing else is large.
pub(crate) const MAX_BODY: usize = 1 << 20;

/// What the page shows.
pub(crate) fn channels(shared: &Shared) -> Value {
    let describe_channel = |(id, roster): &(String, Roster)| json!({ "channel_id": id, "connections": roster.iter().map(|m| describe(id, m)).collect::<Vec<_>>() });
    shared.registry.snapshot().iter().map(describe_channel).collect()
}

fn describe(channel_id: &str, member: &Member) -> Value {
    json!({
        "channel_id": channel_id, "connection_id": &*member.connection_id, "client_id": member.client_id,
        "bundle_id": member.bundle_id, "role": member.role.as_str(), "audio": member.audio, "video": member.video,
        "connected": member.connected, "minutes": member.joined.elapsed().as_secs() / 60,
        "tracks": member.publications.iter().map(|p| format!("{} {}", p.kind.as_str(), p.codec.name)).collect::<Vec<_>>(),
    })
}

/// The operation in a target such as `Sora_20151104.DisconnectConnection`. The date, which names the version an
/// operation came with, is not looked at: there is one version of each here.
fn operation(target: Option<&str>) -> Result<&str, ApiError> {
    let target = target.ok_or(ApiError::MissingTarget)?;
    let (version, operation) = target.split_once('.').ok_or(ApiError::UnsupportedTarget)?;
    let date = version.strip_prefix("Sora_").ok_or(ApiError::UnsupportedTarget)?;
    let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
    if is_date { Ok(operation) } else { Err(ApiError::UnsupportedTarget) }
}

/// Does what one request asks for.
pub(crate) async fn call(shared: &Shared, target: Option<&str>, body: &[u8]) -> Result<Value, ApiError> {
    let operation = operation(target)?;
    let request = Request::parse(body)?;
    match operation {
        "ListChannels" => Ok(list_channels(shared)),
        "ListConnections" => Ok(list_connections(shared)),
        "ListChannelConnections" => list_channel_connections(shared, &request),
        "DisconnectConnection" => disconnect_connection(shared, &request),
        "DisconnectClient" => disconnect_client(shared, &request),
        "DisconnectChannel" => disconnect_channel(shared, &request),
        "PushChannel" => push_channel(shared, &request),
        "PushConnection" => push_connection(shared, &request),
        "GetStatsConnection" => statistics::one_connection(shared, &request).await,
        "GetStatsAllConnections" => Ok(statistics::all_connections(shared).await),
        "GetStatsReport" => Ok(shared.counters.report()),
        "RequestKeyFrame" => request_key_frame(shared, &request),
        "RequestSimulcastRid" => request_simulcast_rid(shared, &request),
        _ => Err(ApiError::UnsupportedTarget),
    }
}

fn channel(shared: &Shared, request: &Request) -> Result<Roster, ApiError> {
    let id = request.id("channel_id")?;
    shared.registry.members(id).filter(|roster| !roster.is_empty()).ok_or(ApiError::ChannelNotFound)
}

fn connection(shared: &Shared, request: &Request) -> Result<Arc<Member>, ApiError> {
    let id = request.id("connection_id")?;
    let roster = channel(shared, request)?;
    roster.iter().find(|member| *member.connection_id == *id).cloned().ok_or(ApiError::ConnectionNotFound)
}

fn tell(member: &Member, control: Control) -> Result<(), ApiError> {
    member.control.try_send(control).map_err(|_| ApiError::ConnectionBusy)
}

/// Tells all of them, also if one does not keep up; that one is the answer then.
fn tell_all<'a>(members: impl Iterator<Item = &'a Arc<Member>>, control: impl Fn() -> Control) -> Result<(), ApiError> {
    members.map(|member| tell(member, control())).fold(Ok(()), Result::and)
}

fn list_channels(shared: &Shared) -> Value {
    // `multistream` is what every channel of today's Sora is.
    let describe_channel = |(id, roster): &(String, Roster)| {
        let spotlight = roster.first().is_some_and(|member| member.spotlight);
        json!({ "channel_id": id, "multistream": true, "spotlight": spotlight })
    };
    shared.registry.snapshot().iter().map(describe_channel).collect()
}

fn list_connections(shared: &Shared) -> Value {
    let channels = shared.registry.snapshot();
    channels.iter().flat_map(|(id, roster)| roster.iter().map(|member| describe(id, member))).collect()
}

/// Nobody in the channel is an empty list: an application may ask before the first one comes.
fn list_channel_connections(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let id = request.id("channel_id")?;
    let roster = shared.registry.members(id).unwrap_or_default();
    Ok(roster.iter().map(|member| describe(id, member)).collect())
}

fn disconnect_connection(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let member = connection(shared, request)?;
    tell(&member, Control::Disconnect { reason: "DISCONNECTED-API" })?;
    Ok(json!({ "channel_id": request.id("channel_id")?, "connection_id": &*member.connection_id }))
}

fn disconnect_client(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let client_id = request.id("client_id")?;
    let roster = channel(shared, request)?;
    let mut connections = roster.iter().filter(|member| member.client_id == client_id).peekable();
    if connections.peek().is_none() {
        return Err(ApiError::ConnectionNotFound);
    }
    tell_all(connections, || Control::Disconnect { reason: "DISCONNECTED-API" })?;
    Ok(json!({ "channel_id": request.id("channel_id")?, "client_id": client_id }))
}

fn disconnect_channel(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let roster = channel(shared, request)?;
    tell_all(roster.iter(), || Control::Disconnect { reason: "DISCONNECTED-CHANNEL-API" })?;
    Ok(json!({ "channel_id": request.id("channel_id")? }))
}

fn push(request: &Request) -> Result<Arc<str>, ApiError> {
    Ok(json!({ "type": "push", "data": request.json("data")? }).to_string().into())
}

fn push_channel(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let text = push(request)?;
    tell_all(channel(shared, request)?.iter(), || Control::Push(text.clone()))?;
    Ok(json!({}))
}

fn push_connection(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let text = push(request)?;
    tell(&*connection(shared, request)?, Control::Push(text))?;
    Ok(json!({}))
}

fn request_key_frame(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let member = connection(shared, request)?;
    if !member.publications.iter().any(|publication| publication.kind == sora_peer::MediaKind::Video) {
        return Err(ApiError::VideoNotSent);
    }
    tell(&member, Control::KeyFrame { rid: None, merge: false })?;
    Ok(json!({}))
}

/// `connection_id` is the receiver's.
fn request_simulcast_rid(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let rid = request.rid()?;
    let sender = request.optional_id("sender_connection_id")?;
    let receiver = connection(shared, request)?;
    if !receiver.role.receives() || !receiver.video {
        return Err(ApiError::VideoNotReceived);
    }
    let sender = check_request(&channel(shared, request)?, &receiver, sender)?;
    tell(&receiver, Control::SimulcastRid { sender, request: rid })?;
    Ok(json!({}))
}
