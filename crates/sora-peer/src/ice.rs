//! The ICE transport (RFC 8445) over the `rtc-ice` agent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_crypto::RTCCryptoProvider;
use rtc_ice::agent::agent_config::AgentConfig;
use rtc_ice::agent::agent_stats::CandidatePairStats;
use rtc_ice::agent::{Agent, Event as AgentEvent};
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig, unmarshal_candidate};
use rtc_ice::state::ConnectionState as AgentState;

use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use crate::{PeerError, Transmit};

/// First checks go out at once and are repeated at this pace until a pair works.
const CHECK_INTERVAL: Duration = Duration::from_millis(20);
/// With the interval above: a second of checks per pair, far more than any loopback or LAN needs.
const MAX_BINDING_REQUESTS: u16 = 250;

/// What the ICE transport reports upward.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IceEvent {
    /// A pair was selected: DTLS may start.
    Selected,
    Disconnected,
    Failed,
}

pub(crate) struct IceTransport {
    agent: Agent,
    controlling: bool,
    started: bool,
    candidates: Vec<String>,
}

fn udp_candidate(address: SocketAddr) -> CandidateConfig {
    CandidateConfig {
        network: "udp".to_owned(),
        address: address.ip().to_string(),
        port: address.port(),
        component: 1,
        ..CandidateConfig::default()
    }
}

/// What is told of a candidate.
#[derive(Debug, Clone, Default)]
pub(crate) struct CandidateDescription {
    /// `host`, `relay` or `prflx`.
    pub(crate) candidate_type: String,
    pub(crate) priority: u32,
    pub(crate) foundation: String,
    pub(crate) ufrag: String,
}

impl IceTransport {
    pub(crate) fn new(
        now: Instant,
        controlling: bool,
        failed_timeout: Duration,
        crypto: &Arc<dyn RTCCryptoProvider>,
    ) -> Result<Self, PeerError> {
        let config = AgentConfig {
            is_controlling: controlling,
            check_interval: CHECK_INTERVAL,
            max_binding_requests: Some(MAX_BINDING_REQUESTS),
            host_acceptance_min_wait: Some(Duration::ZERO),
            srflx_acceptance_min_wait: Some(Duration::ZERO),
            prflx_acceptance_min_wait: Some(Duration::ZERO),
            relay_acceptance_min_wait: Some(Duration::ZERO),
            disconnected_timeout: Some(Duration::from_secs(5)),
            failed_timeout: Some(failed_timeout),
            ..AgentConfig::default()
        };
        let agent = Agent::new(now, Arc::new(config), crypto.clone()).map_err(PeerError::core("ICE"))?;
        Ok(Self { agent, controlling, started: false, candidates: Vec::new() })
    }

    pub(crate) fn local_credentials(&self) -> (String, String) {
        let credentials = self.agent.get_local_credentials();
        (credentials.ufrag.clone(), credentials.pwd.clone())
    }

    /// Adds a host candidate for a bound UDP socket and returns its candidate line.
    pub(crate) fn add_local_host(&mut self, address: SocketAddr) -> Result<String, PeerError> {
        let config = CandidateHostConfig { base_config: udp_candidate(address), ..CandidateHostConfig::default() };
        let candidate = config.new_candidate_host().map_err(PeerError::core("ICE"))?;
        self.add_local(candidate)
    }

    /// Adds a candidate for an address that a TURN server relays. `related` is told the peer as
    /// its related address.
    pub(crate) fn add_local_relay(&mut self, relayed: SocketAddr, related: SocketAddr) -> Result<String, PeerError> {
        let config = CandidateRelayConfig {
            base_config: udp_candidate(relayed),
            rel_addr: related.ip().to_string(),
            rel_port: related.port(),
            url: None,
        };
        let candidate = config.new_candidate_relay().map_err(PeerError::core("ICE"))?;
        self.add_local(candidate)
    }

    fn add_local(&mut self, candidate: Candidate) -> Result<String, PeerError> {
        let line = candidate.marshal();
        self.agent.add_local_candidate(candidate).map_err(PeerError::core("ICE"))?;
        let line = if line.starts_with("candidate:") { line } else { format!("candidate:{line}") };
        self.candidates.push(line.clone());
        Ok(line)
    }

    pub(crate) fn local_candidates(&self) -> &[String] {
        &self.candidates
    }

    /// Adds a remote candidate. Names (`.local`) and TCP candidates are passed over: the peer's own checks make
    /// such a pair known as peer-reflexive.
    pub(crate) fn add_remote(&mut self, line: &str) -> Result<(), PeerError> {
        let line = line.strip_prefix("a=").unwrap_or(line).trim();
        let line = line.strip_prefix("candidate:").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        let mut words = line.split_whitespace();
        let protocol = words.nth(2).unwrap_or_default();
        let address = words.nth(1).unwrap_or_default();
        if !protocol.eq_ignore_ascii_case("udp") || address.parse::<std::net::IpAddr>().is_err() {
            return Ok(());
        }
        let candidate = unmarshal_candidate(line).map_err(|e| PeerError::Candidate(e.to_string()))?;
        self.agent.add_remote_candidate(candidate).map_err(|e| PeerError::Candidate(e.to_string()))?;
        Ok(())
    }

    pub(crate) fn start(
        &mut self,
        now: Instant,
        ufrag: &str,
        pwd: &str,
        remote_is_lite: bool,
    ) -> Result<(), PeerError> {
        if self.started {
            let same = self.agent.get_remote_credentials().is_some_and(|c| c.ufrag == ufrag);
            if !same {
                self.agent.restart(now, String::new(), String::new(), true).map_err(PeerError::core("ICE"))?;
                self.agent
                    .start_connectivity_checks(now, self.controlling, ufrag.to_owned(), pwd.to_owned())
                    .map_err(PeerError::core("ICE"))?;
            }
            return Ok(());
        }
        self.started = true;
        self.controlling |= remote_is_lite;
        self.agent
            .start_connectivity_checks(now, self.controlling, ufrag.to_owned(), pwd.to_owned())
            .map_err(PeerError::core("ICE"))
    }

    pub(crate) fn handle_stun(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr, data: &[u8]) {
        let message = TransportMessage {
            now,
            transport: TransportContext {
                local_addr: local,
                peer_addr: remote,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
            message: BytesMut::from(data),
        };
        if let Err(error) = self.agent.handle_read(message) {
            tracing::trace!(%error, "STUN message dropped");
        }
    }

    /// The pair that data goes over: the selected one, before that the best that has answered.
    pub(crate) fn pair(&self) -> Option<(SocketAddr, SocketAddr)> {
        self.agent
            .get_selected_candidate_pair()
            .or_else(|| self.agent.get_best_available_candidate_pair())
            .map(|(local, remote)| (local.base_addr(), remote.addr()))
    }

    /// The two candidates of [`Self::pair`].
    pub(crate) fn pair_descriptions(&self) -> Option<(CandidateDescription, CandidateDescription)> {
        let (local, remote) =
            self.agent.get_selected_candidate_pair().or_else(|| self.agent.get_best_available_candidate_pair())?;
        let of = |candidate: &Candidate, ufrag: String| CandidateDescription {
            candidate_type: candidate.candidate_type().to_string(),
            priority: candidate.priority(),
            foundation: candidate.foundation(),
            ufrag,
        };
        let remote_ufrag = self.agent.get_remote_credentials().map(|c| c.ufrag.clone()).unwrap_or_default();
        Some((of(local, self.agent.get_local_credentials().ufrag.clone()), of(remote, remote_ufrag)))
    }

    /// Counters of the connectivity checks of the pair in use.
    pub(crate) fn checks(&self, now: Instant) -> Option<CandidatePairStats> {
        let pairs = self.agent.get_candidate_pairs_stats(now).into_iter().filter(|pair| pair.nominated);
        pairs.max_by_key(|pair| pair.responses_received)
    }

    pub(crate) fn is_controlling(&self) -> bool {
        self.controlling
    }

    /// What connectivity checks of the pair in use have measured last.
    pub(crate) fn round_trip_time(&self, now: Instant) -> Option<Duration> {
        // Nothing yet is zero there.
        let latest = self.checks(now)?.current_round_trip_time;
        Duration::try_from_secs_f64(latest).ok().filter(|time| !time.is_zero())
    }

    pub(crate) fn is_selected(&self) -> bool {
        self.agent.get_selected_candidate_pair().is_some()
    }

    /// True if the datagram's sender has proved by a connectivity check that it belongs to this session.
    pub(crate) fn is_known(&mut self, now: Instant, local: SocketAddr, remote: SocketAddr) -> bool {
        self.agent.is_valid_non_stun_traffic(
            now,
            TransportContext {
                local_addr: local,
                peer_addr: remote,
                transport_protocol: TransportProtocol::UDP,
                ecn: None,
            },
        )
    }

    pub(crate) fn poll_transmit(&mut self) -> Option<Transmit> {
        let message = self.agent.poll_write()?;
        Some(Transmit {
            local: message.transport.local_addr,
            remote: message.transport.peer_addr,
            data: message.message.freeze(),
        })
    }

    pub(crate) fn poll_event(&mut self) -> Option<IceEvent> {
        loop {
            match self.agent.poll_event()?.event {
                AgentEvent::SelectedCandidatePairChange(..) => return Some(IceEvent::Selected),
                AgentEvent::ConnectionStateChange(AgentState::Disconnected) => return Some(IceEvent::Disconnected),
                AgentEvent::ConnectionStateChange(AgentState::Failed) => return Some(IceEvent::Failed),
                _ => {}
            }
        }
    }

    pub(crate) fn poll_timeout(&mut self) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Err(error) = self.agent.handle_timeout(now) {
            tracing::debug!(%error, "ICE timer");
        }
    }
}
