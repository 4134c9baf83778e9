//! Spotlight: of many participants only those who spoke last are forwarded.
//!
//! The channel keeps its members in the order in which they spoke last; those who have not spoken come after them, in
//! the order they joined. The first `spotlight_number` of the others are in a participant's focus.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::json;
use sora_peer::MediaKind;
use sora_signaling::message::Connect;

use super::voice::VoiceActivity;
use super::{Ending, Participant, request_key_frame};
use crate::channel::{Member, timestamp};
use crate::simulcast::{Request, Rid, parse_request};

/// Sora's limits and default.
const NUMBERS: std::ops::RangeInclusive<i64> = 1..=8;
const DEFAULT_NUMBER: i64 = 5;
/// Two who speak at once would change places with every packet.
const CLAIM_INTERVAL: Duration = Duration::from_millis(500);

/// One participant's view of its spotlight channel.
#[derive(Debug)]
pub(super) struct Spotlight {
    number: usize,
    /// Without simulcast a track has one layer: a request is either for nothing or for that layer.
    focus_request: Request,
    unfocus_request: Request,
    focused: HashSet<Arc<str>>,
    voice: Option<VoiceActivity>,
    claimed: Option<Instant>,
}

impl Spotlight {
    /// `None` for a connection without spotlight.
    pub(super) fn new(connect: &Connect) -> Result<Option<Self>, &'static str> {
        if connect.spotlight != Some(true) {
            return Ok(None);
        }
        let number = connect.spotlight_number.unwrap_or(DEFAULT_NUMBER);
        let number = usize::try_from(number).ok().filter(|_| NUMBERS.contains(&number)).ok_or("INVALID-SPOTLIGHT")?;
        Ok(Some(Self {
            number,
            focus_request: request(connect.spotlight_focus_rid.as_deref(), Some(Rid::R1))?,
            unfocus_request: request(connect.spotlight_unfocus_rid.as_deref(), None)?,
            focused: HashSet::new(),
            voice: None,
            claimed: None,
        }))
    }

    /// What this participant gets of a sender.
    pub(super) fn request(&self, connection_id: &str) -> Request {
        if self.focused.contains(connection_id) { self.focus_request } else { self.unfocus_request }
    }

    /// Takes one of this participant's own audio packets; true if the participant is to be told to the others as
    /// speaking.
    fn speaks(&mut self, packet: &[u8]) -> bool {
        if self.voice.is_none() {
            match VoiceActivity::new() {
                Ok(voice) => self.voice = Some(voice),
                Err(error) => tracing::warn!(%error, "voice activity"),
            }
        }
        let now = Instant::now();
        let speaks = self.voice.as_mut().is_some_and(|voice| voice.hear(packet))
            && self.claimed.is_none_or(|claimed| now - claimed >= CLAIM_INTERVAL);
        if speaks {
            self.claimed = Some(now);
        }
        speaks
    }
}

fn request(rid: Option<&str>, default: Request) -> Result<Request, &'static str> {
    match rid {
        None | Some("") => Ok(default),
        Some(word) => parse_request(word).ok_or("INVALID-SPOTLIGHT"),
    }
}

impl Participant {
    /// Listens to what this participant says, so that the channel knows who spoke last.
    pub(super) fn listen(&mut self, kind: MediaKind, packet: &[u8]) {
        if kind == MediaKind::Audio && self.spotlight.as_mut().is_some_and(|spotlight| spotlight.speaks(packet)) {
            self.membership.spoke();
        }
    }

    /// Brings the focus in line with who spoke last, and tells the client what changed.
    pub(super) async fn refocus(&mut self) -> Result<(), Ending> {
        let Some(spotlight) = self.spotlight.as_mut().filter(|_| self.connected) else { return Ok(()) };
        let roster = self.membership.roster.borrow().clone();
        let speakers = self.membership.speakers.borrow_and_update().clone();
        let other = |id: &Arc<str>| {
            let member = roster.iter().find(|member| member.connection_id == *id)?;
            (member.connected && member.role.sends() && member.reaches(&self.member)).then_some(member)
        };
        let now: Vec<&Arc<Member>> = speakers.iter().filter_map(other).take(spotlight.number).collect();
        let focused = now.iter().map(|member| member.connection_id.clone()).collect();
        let before = std::mem::replace(&mut spotlight.focused, focused);
        let is_now = |id: &Arc<str>| now.iter().any(|member| member.connection_id == *id);
        // Of those who have left the channel, connection.destroyed tells.
        let unfocused = before.iter().filter(|id| !is_now(id)).filter_map(other);
        let mut changes: Vec<String> = unfocused.map(|member| notification("spotlight.unfocused", member)).collect();
        for member in now.iter().filter(|member| !before.contains(&member.connection_id)) {
            changes.push(notification("spotlight.focused", member));
            request_key_frame(&roster, &member.connection_id, None);
        }
        for change in changes {
            self.send_notify(&change).await?;
        }
        Ok(())
    }
}

fn notification(event_type: &str, member: &Member) -> String {
    json!({
        "type": "notify", "event_type": event_type, "timestamp": timestamp(),
        "client_id": member.client_id, "connection_id": &*member.connection_id,
        "audio": member.audio, "video": member.video, "fixed": false,
    })
    .to_string()
}
