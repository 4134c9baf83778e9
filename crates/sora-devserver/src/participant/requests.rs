//! Which layers a participant wants of the simulcast senders it receives.

use std::collections::HashMap;
use std::sync::Arc;

use sora_signaling::message::Connect;

use super::Participant;
use crate::channel::Member;
use crate::simulcast::{DEFAULT_REQUEST, Request, parse_request};

/// What one receiver has asked for.
#[derive(Debug)]
pub(super) struct Requests {
    all: Request,
    by_sender: HashMap<Arc<str>, Request>,
}

impl Requests {
    /// As `connect` has it; the older member counts if the newer one is not there.
    pub(super) fn new(connect: &Connect) -> Result<Self, &'static str> {
        let words = [&connect.simulcast_request_rid, &connect.simulcast_rid].map(Option::as_deref);
        let mut requests = [DEFAULT_REQUEST; 2];
        for (request, word) in requests.iter_mut().zip(words) {
            if let Some(word) = word.filter(|word| !word.is_empty()) {
                *request = parse_request(word).ok_or("INVALID-SIMULCAST-RID")?;
            }
        }
        let [newer, older] = requests;
        let all = if words[0].is_some_and(|word| !word.is_empty()) { newer } else { older };
        Ok(Self { all, by_sender: HashMap::new() })
    }

    pub(super) fn of(&self, sender: &str) -> Request {
        self.by_sender.get(sender).copied().unwrap_or(self.all)
    }

    fn set(&mut self, sender: Option<Arc<str>>, request: Request) {
        match sender {
            Some(sender) => {
                self.by_sender.insert(sender, request);
            }
            None => {
                self.by_sender.clear();
                self.all = request;
            }
        }
    }

    /// Forgets those who have left.
    pub(super) fn retain(&mut self, roster: &[Arc<Member>]) {
        self.by_sender.retain(|sender, _| roster.iter().any(|member| member.connection_id == *sender));
    }
}

/// Why a layer cannot be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("no such connection is in this channel")]
    UnknownSender,
    #[error("in a spotlight channel the focus decides which layer is received")]
    Spotlight,
}

/// Whether `receiver` may ask for a layer of `sender`, whose id in the roster is the answer.
pub(crate) fn check(
    roster: &[Arc<Member>],
    receiver: &Member,
    sender: Option<&str>,
) -> Result<Option<Arc<str>>, RequestError> {
    if receiver.spotlight {
        return Err(RequestError::Spotlight);
    }
    let Some(sender) = sender else { return Ok(None) };
    let member = roster.iter().find(|member| *member.connection_id == *sender && member.reaches(receiver));
    member.map(|member| Some(member.connection_id.clone())).ok_or(RequestError::UnknownSender)
}

impl Participant {
    /// The layer changes with the sender's next packets.
    pub(super) fn request_layer(&mut self, sender: Option<Arc<str>>, request: Request) {
        self.requests.set(sender, request);
        // The sender may have left since it was looked up.
        self.requests.retain(&self.membership.roster.borrow());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulcast::Rid::{R0, R1, R2};

    fn requests(newer: Option<&str>, older: Option<&str>) -> Result<Requests, &'static str> {
        let [simulcast_request_rid, simulcast_rid] = [newer, older].map(|word| word.map(str::to_owned));
        Requests::new(&Connect { simulcast_request_rid, simulcast_rid, ..Connect::default() })
    }

    #[test]
    fn connect_says_what_is_received_first() {
        let cases = [
            (None, None, Some(R0)),
            (Some(""), Some(""), Some(R0)),
            (Some("r2"), None, Some(R2)),
            (Some("none"), Some("r1"), None),
            (None, Some("r1"), Some(R1)),
            (Some(""), Some("r1"), Some(R1)),
        ];
        for (newer, older, request) in cases {
            assert_eq!(requests(newer, older).expect("good").of("sender"), request, "{newer:?} {older:?}");
        }
        for (newer, older) in [(Some("r3"), None), (Some("r0"), Some("high"))] {
            assert_eq!(requests(newer, older).map(|_| ()), Err("INVALID-SIMULCAST-RID"));
        }
    }

    #[test]
    fn one_sender_can_be_asked_for_another_layer_than_all() {
        let mut requests = requests(None, None).expect("good");
        requests.set(Some("a".into()), Some(R2));
        requests.set(Some("b".into()), None);
        assert_eq!(["a", "b", "c"].map(|sender| requests.of(sender)), [Some(R2), None, Some(R0)]);
        requests.set(None, Some(R1));
        assert_eq!(["a", "b", "c"].map(|sender| requests.of(sender)), [Some(R1); 3]);
        requests.set(Some("a".into()), Some(R2));
        requests.retain(&[]);
        assert_eq!(requests.of("a"), Some(R1), "who has left is forgotten");
    }
}
