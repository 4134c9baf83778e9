//! One participant: its WebSocket, its peer connection, its place in the channel. One task owns all of it.

mod admission;
mod data;
mod downlink;
mod endings;
mod key_frame;
mod media;
mod negotiation;
mod signaling;
mod spotlight;
mod statistics;
mod timers;
mod voice;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sora_peer::{ChannelId, ConnectionState, Event, MediaKind, TransceiverId};
use sora_signaling::message::Connect;
use sora_transport::PeerDriver;
use sora_transport::websocket::{WebSocket, WebSocketEvent};
use tokio::sync::mpsc;

use crate::Shared;
use crate::channel::{Control, MediaPacket, Member, Membership};
use crate::forwarding_filter::ForwardingFilters;
use admission::NotAdmitted;
use downlink::Downlink;
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
    uplinks: HashMap<TransceiverId, MediaKind>,
    downlinks: HashMap<(Arc<str>, MediaKind), Downlink>,
    labels: HashMap<String, ChannelId>,
    opened: HashMap<ChannelId, String>,
    expected_channels: usize,
    switched: bool,
    connected: bool,
    negotiation_due: bool,
    last_key_frame_request: Option<Instant>,
    control: mpsc::Receiver<Control>,
    media: mpsc::Receiver<MediaPacket>,
    filters: ForwardingFilters,
    spotlight: Option<Spotlight>,
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
                Some(packet) = self.media.recv() => {
                    self.forward(&packet);
                    // Whatever else is waiting goes out with the same flush.
                    for _ in 0..64 {
                        let Ok(packet) = self.media.try_recv() else { break };
                        self.forward(&packet);
                    }
                    Ok(())
                }
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

    async fn on_time(&mut self, due: Due) -> Result<(), Ending> {
        match due {
            Due::Ping => self.send_websocket(r#"{"type":"ping"}"#.to_owned()).await,
            Due::Statistics => self.ask_for_statistics().await,
            Due::KeyFrame => {
                self.request_uplink_key_frame(false);
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
                Event::Rtp { transceiver, packet, .. } => self.publish(transceiver, packet),
                Event::KeyFrameRequested { transceiver, .. } => self.ask_source_for_key_frame(transceiver),
                Event::DataChannelOpen { id, label } => self.data_channel_opened(id, label).await?,
                Event::DataChannelMessage { id, data, .. } => self.data_channel_message(id, &data)?,
                Event::DataChannelClosed { id, .. } => drop(self.opened.remove(&id)),
                Event::State(_) | Event::TargetBitrate(_) | Event::SenderReport { .. } => {}
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
            request_key_frame(&roster, &downlink.0);
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
            Control::KeyFrame { merge } => {
                self.request_uplink_key_frame(merge);
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

/// Asks the member with this connection id for a key frame.
fn request_key_frame(roster: &[Arc<Member>], connection_id: &str) {
    if let Some(source) = roster.iter().find(|member| &*member.connection_id == connection_id) {
        // A full queue means requests are waiting already.
        let _ = source.control.try_send(Control::KeyFrame { merge: true });
    }
}
