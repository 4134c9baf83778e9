use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::lenient;
use crate::redacted::{Size, hidden};

/// The server's first answer.
///
/// Readers need `sdp`, `connection_id` and `config`; all else is optional, and what is there but has an unexpected
/// type counts as absent. `Debug` shows no SDP (it has the ICE password) and no metadata.
#[derive(Clone, Serialize, Deserialize)]
pub struct Offer {
    /// The session description.
    pub sdp: String,
    /// This connection's id.
    pub connection_id: String,
    /// ICE configuration.
    pub config: OfferConfig,
    /// Server version.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Id of the channel's session.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub session_id: Option<String>,
    /// The channel.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub channel_id: Option<String>,
    /// The client's id.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The user's bundle.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub bundle_id: Option<String>,
    /// The m-lines for what the client sends.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub mid: Option<OfferMid>,
    /// Simulcast layers to send.
    #[serde(default, deserialize_with = "lenient::optional_elements", skip_serializing_if = "Option::is_none")]
    pub encodings: Option<Vec<Encoding>>,
    /// Simulcast is on.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub simulcast: Option<bool>,
    /// Simulcast with several codecs is on.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub simulcast_multicodec: Option<bool>,
    /// Spotlight is on.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub spotlight: Option<bool>,
    /// Labels the server will open.
    #[serde(default, deserialize_with = "lenient::optional_elements", skip_serializing_if = "Option::is_none")]
    pub data_channels: Option<Vec<OfferDataChannel>>,
    /// Signaling will move to data channels.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub data_channel_signaling: Option<bool>,
    /// The session outlives the WebSocket.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub ignore_disconnect_websocket: Option<bool>,
    /// Methods of the rpc channel.
    #[serde(default, deserialize_with = "lenient::optional_elements", skip_serializing_if = "Option::is_none")]
    pub rpc_methods: Option<Vec<String>>,
    /// From the authentication webhook.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Value>,
    /// Audio is on.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub audio: Option<bool>,
    /// Audio codec.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub audio_codec_type: Option<String>,
    /// Audio bit rate in kbit/s.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub audio_bit_rate: Option<i64>,
    /// Video is on.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub video: Option<bool>,
    /// Video codec.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub video_codec_type: Option<String>,
    /// Video bit rate in kbit/s.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub video_bit_rate: Option<i64>,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer")
            .field("connection_id", &self.connection_id)
            .field("sdp", &Size(self.sdp.len()))
            .field("config", &self.config)
            .field("mid", &self.mid)
            .field("data_channels", &self.data_channels)
            .field("metadata", &hidden(self.metadata.as_ref()))
            .finish_non_exhaustive()
    }
}

/// ICE configuration.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OfferConfig {
    /// STUN and TURN servers; must be present for the reference client, may be empty.
    #[serde(default, deserialize_with = "lenient::elements")]
    pub ice_servers: Vec<IceServer>,
    /// `all` or `relay`.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub ice_transport_policy: Option<String>,
}

/// One STUN or TURN server.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct IceServer {
    /// Its addresses; a single string is read as a list of one.
    #[serde(default, deserialize_with = "lenient::strings")]
    pub urls: Vec<String>,
    /// User name. Never shown in `Debug`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub username: String,
    /// Password. Never shown in `Debug`.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub credential: String,
}

impl fmt::Debug for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).field("credential", &"***").finish_non_exhaustive()
    }
}

/// Mids of the client's uplinks.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct OfferMid {
    /// Audio uplink.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub audio: Option<String>,
    /// Video uplink.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub video: Option<String>,
}

/// One simulcast layer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Encoding {
    /// `r0`, `r1` or `r2`.
    pub rid: String,
    /// False: the layer is off.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// bit/s.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub max_bitrate: Option<f64>,
    /// bit/s.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub min_bitrate: Option<f64>,
    /// Frames per second.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub max_framerate: Option<f64>,
    /// Divisor for width and height.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub scale_resolution_down_by: Option<f64>,
    /// Largest width and height.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub scale_resolution_down_to: Option<EncodingSize>,
    /// Larger audio packets when bandwidth is short; for browsers.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub adaptive_ptime: Option<bool>,
    /// Such as `L1T3`.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub scalability_mode: Option<String>,
}

/// A size that a layer does not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EncodingSize {
    /// Pixels in a row.
    pub max_width: f64,
    /// Rows.
    pub max_height: f64,
}

/// A data channel the server will open.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OfferDataChannel {
    /// Name.
    pub label: String,
    /// Direction word, seen from the client.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub direction: Option<String>,
    /// Each message is a zlib stream.
    #[serde(default, deserialize_with = "lenient::or_default")]
    pub compress: bool,
    /// What received messages are prefixed with.
    #[serde(default, deserialize_with = "lenient::optional", skip_serializing_if = "Option::is_none")]
    pub header: Option<Value>,
}
