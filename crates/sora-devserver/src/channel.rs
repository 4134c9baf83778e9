//! Who is in which channel. Members see each other through snapshots; nobody holds a lock while working.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;
use sora_peer::{Codec, MediaKind, RtpPacket};
use sora_signaling::ids::new_id;
use sora_signaling::message::{ConnectionCreated, DataChannelOptions, Participant, Role};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::sync::{mpsc, oneshot, watch};

use crate::simulcast::{Request, Rid};

/// Media packets that may wait for a receiver; about a second of a large video.
pub(crate) const MEDIA_QUEUE: usize = 2048;
/// Notifications and messages that may wait.
pub(crate) const CONTROL_QUEUE: usize = 1024;

/// What others ask of a member.
#[derive(Debug)]
pub(crate) enum Control {
    /// Send this notification on.
    Notify(Arc<str>),
    /// Send this push on.
    Push(Arc<str>),
    /// Deliver an application message.
    Message { label: Arc<str>, sender: Arc<str>, data: bytes::Bytes },
    /// Somebody needs a key frame of what this member sends. Receivers that ask at the same moment are served by one;
    /// a caller of the API gets its own. Without a rid it is one of every layer.
    KeyFrame { rid: Option<Rid>, merge: bool },
    /// This member is to get another layer, of one sender or of all.
    SimulcastRid { sender: Option<Arc<str>>, request: Request },
    /// Tell what is known of the connection.
    Statistics { reply: oneshot::Sender<Value> },
    /// End the session.
    Disconnect { reason: &'static str },
}

/// What ties a source's RTP time to its wall clock (RFC 3550 section 6.4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SenderReport {
    /// 32.32 fixed point.
    pub(crate) ntp_time: u64,
    pub(crate) rtp_time: u32,
}

/// One packet on its way to a receiver.
#[derive(Debug, Clone)]
pub(crate) struct MediaPacket {
    /// The sender's connection id.
    pub(crate) source: Arc<str>,
    pub(crate) kind: MediaKind,
    /// The layer it belongs to, of a simulcast sender.
    pub(crate) rid: Option<Rid>,
    pub(crate) ssrc: u32,
    /// The last one of its source.
    pub(crate) report: Option<SenderReport>,
    pub(crate) packet: RtpPacket,
}

/// What a member sends to the others.
#[derive(Debug, Clone)]
pub(crate) struct Publication {
    pub(crate) kind: MediaKind,
    pub(crate) codec: Codec,
    pub(crate) track_id: String,
    /// It comes in several layers.
    pub(crate) simulcast: bool,
}

/// A member as the others see it. Never changed; a change makes a new one.
#[derive(Debug, Clone)]
pub(crate) struct Member {
    pub(crate) connection_id: Arc<str>,
    pub(crate) client_id: String,
    pub(crate) bundle_id: String,
    pub(crate) role: Role,
    pub(crate) audio: bool,
    pub(crate) video: bool,
    /// True for all members of a channel or for none.
    pub(crate) spotlight: bool,
    pub(crate) notify_metadata: Option<Value>,
    pub(crate) data_channels: Vec<DataChannelOptions>,
    pub(crate) joined: Instant,
    /// ICE and DTLS are up: the others know of it.
    pub(crate) connected: bool,
    pub(crate) publications: Vec<Publication>,
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) media: mpsc::Sender<MediaPacket>,
}

impl Member {
    /// Members of one bundle neither see nor hear each other.
    pub(crate) fn reaches(&self, other: &Self) -> bool {
        self.connection_id != other.connection_id && self.bundle_id != other.bundle_id
    }

    pub(crate) fn sends_simulcast(&self) -> bool {
        self.publications.iter().any(|publication| publication.simulcast)
    }

    fn participant(&self) -> Participant {
        Participant {
            client_id: self.client_id.clone(),
            bundle_id: self.bundle_id.clone(),
            connection_id: self.connection_id.to_string(),
            metadata: self.notify_metadata.clone(),
        }
    }
}

/// All members of a channel at one moment, in the order they joined.
pub(crate) type Roster = Arc<Vec<Arc<Member>>>;

/// Connection ids, those who spoke last first.
pub(crate) type Speakers = Arc<Vec<Arc<str>>>;

struct Channel {
    session_id: String,
    speakers: watch::Sender<Speakers>,
    roster: watch::Sender<Roster>,
}

/// The channels.
#[derive(Default)]
pub(crate) struct Registry(Mutex<HashMap<String, Channel>>);

/// A member's hold on its channel; leaving happens when it is dropped.
pub(crate) struct Membership {
    shared: Arc<crate::Shared>,
    pub(crate) channel_id: String,
    pub(crate) session_id: String,
    pub(crate) roster: watch::Receiver<Roster>,
    pub(crate) speakers: watch::Receiver<Speakers>,
    pub(crate) connection_id: Arc<str>,
}

pub(crate) fn random_id() -> String {
    new_id(rand::random())
}

/// Now, as RFC 3339 has it.
pub(crate) fn timestamp() -> String {
    OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

impl Registry {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Channel>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Channels with their members, for the page and the API.
    pub(crate) fn snapshot(&self) -> Vec<(String, Roster)> {
        let mut channels: Vec<_> =
            self.lock().iter().map(|(id, channel)| (id.clone(), channel.roster.borrow().clone())).collect();
        channels.sort_by(|a, b| a.0.cmp(&b.0));
        channels
    }

    pub(crate) fn members(&self, channel_id: &str) -> Option<Roster> {
        self.lock().get(channel_id).map(|channel| channel.roster.borrow().clone())
    }
}

impl Membership {
    /// Puts a member into its channel. `None` if the channel has a spotlight and the member has not, or the other way
    /// round.
    pub(crate) fn join(shared: &Arc<crate::Shared>, channel_id: &str, member: Member) -> Option<Self> {
        let connection_id = member.connection_id.clone();
        let mut channels = shared.registry.lock();
        let channel = channels.entry(channel_id.to_owned()).or_insert_with(|| Channel {
            session_id: random_id(),
            speakers: watch::Sender::new(Speakers::default()),
            roster: watch::Sender::new(Roster::default()),
        });
        if channel.roster.borrow().first().is_some_and(|first| first.spotlight != member.spotlight) {
            return None;
        }
        channel.speakers.send_modify(|speakers| Arc::make_mut(speakers).push(connection_id.clone()));
        channel.roster.send_modify(|roster| Arc::make_mut(roster).push(Arc::new(member)));
        Some(Self {
            shared: shared.clone(),
            channel_id: channel_id.to_owned(),
            session_id: channel.session_id.clone(),
            roster: channel.roster.subscribe(),
            speakers: channel.speakers.subscribe(),
            connection_id,
        })
    }

    /// Replaces this member's entry and returns the channel as it is then.
    pub(crate) fn update(&self, change: impl FnOnce(&mut Member)) -> Roster {
        let channels = self.shared.registry.lock();
        let Some(channel) = channels.get(&self.channel_id) else { return Roster::default() };
        channel.roster.send_modify(|roster| {
            if let Some(member) = Arc::make_mut(roster).iter_mut().find(|m| m.connection_id == self.connection_id) {
                change(Arc::make_mut(member));
            }
        });
        channel.roster.borrow().clone()
    }

    /// This member spoke just now.
    pub(crate) fn spoke(&self) {
        let channels = self.shared.registry.lock();
        let Some(channel) = channels.get(&self.channel_id) else { return };
        channel.speakers.send_if_modified(|speakers| match speakers.iter().position(|id| *id == self.connection_id) {
            None | Some(0) => false,
            Some(position) => {
                Arc::make_mut(speakers)[..=position].rotate_right(1);
                true
            }
        });
    }

    /// Tells every connected member about this one. `newcomer` gets a copy with the list of those who were there.
    pub(crate) fn announce(&self, event_type: &'static str, roster: &[Arc<Member>], about: &Member) -> Option<String> {
        let connected: Vec<&Arc<Member>> = roster.iter().filter(|m| m.connected).collect();
        let count = |role: &Role| connected.iter().filter(|m| m.role == *role).count();
        let mut message = ConnectionCreated {
            message_type: "notify",
            event_type,
            timestamp: timestamp(),
            role: about.role.as_str().to_owned(),
            session_id: self.session_id.clone(),
            client_id: about.client_id.clone(),
            bundle_id: about.bundle_id.clone(),
            connection_id: about.connection_id.to_string(),
            audio: about.audio,
            video: about.video,
            minutes: about.joined.elapsed().as_secs() / 60,
            channel_connections: connected.len(),
            channel_sendrecv_connections: count(&Role::SendRecv),
            channel_sendonly_connections: count(&Role::SendOnly),
            channel_recvonly_connections: count(&Role::RecvOnly),
            turn_transport_type: "udp",
            metadata: about.notify_metadata.clone(),
            data: None,
        };
        let text: Arc<str> = serde_json::to_string(&message).unwrap_or_default().into();
        for member in connected.iter().filter(|member| member.reaches(about)) {
            if member.control.try_send(Control::Notify(text.clone())).is_err() {
                tracing::warn!(connection_id = %member.connection_id, "notification dropped: the member does not keep up");
            }
        }
        let others = connected.iter().filter(|member| member.reaches(about)).map(|member| member.participant());
        message.data = Some(others.collect());
        serde_json::to_string(&message).ok()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut channels = self.shared.registry.lock();
        let Some(channel) = channels.get(&self.channel_id) else { return };
        let mut gone = None;
        channel.roster.send_modify(|roster| {
            let members = Arc::make_mut(roster);
            if let Some(position) = members.iter().position(|m| m.connection_id == self.connection_id) {
                gone = Some(members.remove(position));
            }
        });
        channel.speakers.send_modify(|speakers| Arc::make_mut(speakers).retain(|id| *id != self.connection_id));
        let roster = channel.roster.borrow().clone();
        if roster.is_empty() {
            channels.remove(&self.channel_id);
        }
        drop(channels);
        if let Some(member) = gone.filter(|member| member.connected) {
            self.shared.counters.destroyed(member.joined.elapsed());
            self.announce("connection.destroyed", &roster, &member);
        }
    }
}
