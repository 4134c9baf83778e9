//! One participant: its WebSocket, its peer connection, its place in the channel. One task owns all of it.

mod admission;
mod data;
mod downlink;
#[cfg(test)]
mod downlink_tests;
mod endings;
mod key_frame;
mod key_frame_requests;
mod layers;
mod media;
mod negotiation;
mod numbering;
mod picture_ids;
mod requests;
mod rpc;
mod signaling;
mod spotlight;
mod statistics;
mod timers;
mod voice;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sora_peer::{ChannelId, ConnectionState, Event, MediaKind, TransceiverId};
use sora_signaling::message::Connect;
use sora_transport::PeerDriver;
use sora_transport::websocket::{WebSocket, WebSocketEvent};
use tokio::sync::mpsc;

use crate::Shared;
use crate::channel::{Control, MediaPacket, Member, Membership, SenderReport};
use crate::forwarding_filter::ForwardingFilters;
use crate::simulcast::{Encodings, Rid};
use admission::NotAdmitted;
use downlink::Downlink;
use key_frame_requests::KeyFrameRequests;
use media::Uplink;
use requests::Requests;
pub(crate) use requests::{RequestError, check as check_request};
use spotlight::Spotlight;
use statistics::Report;
use timers::{Due, Timers};

/// A server that cannot write for so long has lost its client.
const WRITE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a participant's session ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The client said `disconnect`.
    Disconnect,
    /// The API or the access token ended it, with this reason.
    Api(&'static str),
    /// The client broke the protocol: close 4490 with this reason.
    Refused(&'static str),
    /// The client is gone; there is nobody to say goodbye to.
    Gone,
}

struct Participant {
    shared: Arc<Shared>,
    connect: Connect,
    member: Member,
    membership: Membership,
    websocket: Option<WebSocket>,
    driver: PeerDriver,
    uplinks: HashMap<TransceiverId, Uplink>,
    /// Of a simulcast sender.
    encodings: Option<Encodings>,
    downlinks: HashMap<(Arc<str>, MediaKind), Downlink>,
    labels: HashMap<String, ChannelId>,
    opened: HashMap<ChannelId, String>,
    expected_channels: usize,
    switched: bool,
    connected: bool,
    negotiation_due: bool,
    key_frame_requests: KeyFrameRequests,
    control: mpsc::Receiver<Control>,
    media: mpsc::Receiver<MediaPacket>,
    filters: ForwardingFilters,
    spotlight: Option<Spotlight>,
    requests: Requests,
    timers: Timers,
    report: Option<Report>,
}

/// Serves one upgraded connection until its session ends.
pub(crate) async fn serve(shared: Arc<Shared>, mut websocket: WebSocket) {
    match admission::admit(shared.clone(), &mut websocket).await {
        Ok(admitted) => {
            let mut participant = admitted.into_participant(websocket);
            let ending = participant.run().await;
            if !participant.connected {
                shared.counters.failed();
            }
            tracing::debug!(connection_id = %participant.member.connection_id, ?ending, "session ended");
            participant.finish(&ending).await;
        }
        Err(NotAdmitted::Refused(reason)) => {
            tracing::info!(reason, "connection refused");
            shared.counters.failed();
            endings::close(&mut websocket, 4490, reason).await;
        }
        Err(NotAdmitted::Redirected(location)) => {
            tracing::info!("connection redirected");
            endings::redirect(&mut websocket, &location).await;
        }
    }
}

async fn next_message(websocket: &mut Option<WebSocket>) -> WebSocketEvent {
    match websocket {
        Some(websocket) => websocket.next().await,
        None => std::future::pending().await,
    }
}

impl Participant {
    async fn run(&mut self) -> Ending {
        if let Err(ending) = self.send_offer().await {
            return ending;
        }
        loop {
            let step = tokio::select! {
                event = next_message(&mut self.websocket) => self.websocket_event(event).await,
                () = self.driver.wait() => Ok(()),
                Some(control) = self.control.recv() => self.control(control).await,
                Some(packet) = self.media.recv() => self.forward_waiting(packet).await,
                Ok(()) = self.membership.roster.changed() => {
                    self.negotiation_due = true;
                    self.refocus().await
                }
                Ok(()) = self.membership.speakers.changed() => self.refocus().await,
                due = self.timers.due(self.connected) => self.on_time(due).await,
            };
            let step = match step {
                Ok(()) => self.peer_events().await,
                ending => ending,
            };
            let step = match step {
                Ok(()) => self.negotiate_if_due().await,
                ending => ending,
            };
            if let Err(ending) = step {
                return ending;
            }
            self.driver.flush();
        }
    }

    /// Whatever else is waiting goes out with the same flush.
    async fn forward_waiting(&mut self, first: MediaPacket) -> Result<(), Ending> {
        self.forward(&first).await?;
        for _ in 0..64 {
            let Ok(packet) = self.media.try_recv() else { break };
            self.forward(&packet).await?;
        }
        Ok(())
    }

    async fn on_time(&mut self, due: Due) -> Result<(), Ending> {
        match due {
            Due::Ping => self.send_websocket(r#"{"type":"ping"}"#.to_owned()).await,
            Due::Statistics => self.ask_for_statistics().await,
            Due::KeyFrame => {
                self.request_due_key_frames();
                Ok(())
            }
            Due::Lifetime => Err(Ending::Api("LIFETIME-EXPIRED")),
            Due::ConnectLimit => Err(Ending::Refused("CONNECTION-TIMEOUT")),
        }
    }

    async fn peer_events(&mut self) -> Result<(), Ending> {
        while let Some(event) = self.driver.poll_event() {
            match event {
                Event::State(ConnectionState::Connected) => self.became_connected().await?,
                Event::State(ConnectionState::Failed | ConnectionState::Closed) => return Err(Ending::Gone),
                Event::Rtp { transceiver, ssrc, rid, packet } => {
                    self.publish(transceiver, ssrc, rid.as_deref(), packet)
                }
                Event::SenderReport { transceiver, rid, ntp_time, rtp_time, .. } => {
                    self.keep_sender_report(transceiver, rid.as_deref(), SenderReport { ntp_time, rtp_time });
                }
                Event::KeyFrameRequested { transceiver, .. } => self.ask_source_for_key_frame(transceiver),
                Event::DataChannelOpen { id, label } => self.data_channel_opened(id, label).await?,
                Event::DataChannelMessage { id, data, .. } => self.data_channel_message(id, &data)?,
                Event::DataChannelClosed { id, .. } => drop(self.opened.remove(&id)),
                Event::State(_) | Event::TargetBitrate(_) | Event::LossReported { .. } => {}
            }
        }
        Ok(())
    }

    /// ICE and DTLS are up: the participant hears of itself first, then the others hear of it.
    async fn became_connected(&mut self) -> Result<(), Ending> {
        if std::mem::replace(&mut self.connected, true) {
            return Ok(());
        }
        self.member.publications = self.publications();
        self.member.connected = true;
        self.shared.counters.created();
        let member = self.member.clone();
        let roster = self.membership.update(|entry| *entry = member);
        if let Some(own) = self.membership.announce("connection.created", &roster, &self.member) {
            self.send_notify(&own).await?;
        }
        tracing::info!(
            channel_id = self.membership.channel_id, connection_id = %self.member.connection_id,
            role = self.member.role.as_str(), "connected"
        );
        for downlink in self.downlinks.keys() {
            request_key_frame(&roster, &downlink.0, None);
        }
        self.negotiation_due = true;
        self.refocus().await
    }

    async fn control(&mut self, control: Control) -> Result<(), Ending> {
        match control {
            Control::Notify(text) => self.send_notify(&text).await,
            Control::Push(text) => self.send_push(&text).await,
            Control::Message { label, sender, data } => {
                self.deliver_message(&label, &sender, &data);
                Ok(())
            }
            Control::KeyFrame { rid, merge } => {
                self.request_uplink_key_frame(rid, merge);
                Ok(())
            }
            Control::SimulcastRid { sender, request } => {
                self.request_layer(sender, request);
                Ok(())
            }
            Control::Statistics { reply } => {
                // Whoever asked may have gone.
                let _ = reply.send(self.statistics());
                Ok(())
            }
            Control::Disconnect { reason } => Err(Ending::Api(reason)),
        }
    }
}

/// Asks the member with this connection id for a key frame. Of a simulcast sender only one layer's is of use, which
/// the downlink asks for when it knows which.
fn request_key_frame(roster: &[Arc<Member>], connection_id: &str, rid: Option<Rid>) {
    let source = roster.iter().find(|member| &*member.connection_id == connection_id);
    if let Some(source) = source.filter(|source| rid.is_some() || !source.sends_simulcast()) {
        // A full queue means requests are waiting already.
        let _ = source.control.try_send(Control::KeyFrame { rid, merge: true });
    }
}
