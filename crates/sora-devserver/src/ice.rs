//! What offers tell clients about reaching the server (W3C `RTCConfiguration`).

use std::str::FromStr;

use serde_json::{Map, Value};
use sora_signaling::message::IceServer;

/// Which candidates a client may use (W3C `RTCIceTransportPolicy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IceTransportPolicy {
    /// All of them.
    #[default]
    All,
    /// Those of TURN servers only, as real Sora demands.
    Relay,
}

impl IceTransportPolicy {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Relay => "relay",
        }
    }
}

impl FromStr for IceTransportPolicy {
    type Err = &'static str;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "all" => Ok(Self::All),
            "relay" => Ok(Self::Relay),
            _ => Err("expected all or relay"),
        }
    }
}

/// Why a list of STUN and TURN servers cannot be used. Names the place and quotes nothing: there are passwords in it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IceServersError {
    /// It is no JSON array.
    #[error("ICE servers: expected a JSON array of {{\"urls\": [], \"username\": \"\", \"credential\": \"\"}}")]
    NotAnArray,
    /// An element is not what it should be.
    #[error("ICE server {position}: {expected}")]
    Element {
        /// Which one, counted from 0.
        position: usize,
        /// What it should be.
        expected: &'static str,
    },
    /// The policy leaves clients without any candidate.
    #[error("ICE servers: expected a turn or turns URL with the policy relay")]
    NoRelay,
}

/// Reads a JSON array of STUN and TURN servers. Unlike clients, which read an offer leniently, this takes nothing it
/// does not understand.
///
/// # Errors
/// [`IceServersError`], the first thing that is wrong.
pub fn parse_ice_servers(text: &str) -> Result<Vec<IceServer>, IceServersError> {
    let Ok(Value::Array(elements)) = serde_json::from_str(text) else { return Err(IceServersError::NotAnArray) };
    let servers: Vec<IceServer> = elements
        .iter()
        .enumerate()
        .map(|(position, element)| {
            element
                .as_object()
                .ok_or("expected an object")
                .and_then(server)
                .map_err(|expected| IceServersError::Element { position, expected })
        })
        .collect::<Result<_, _>>()?;
    validate(&servers, IceTransportPolicy::All)?;
    Ok(servers)
}

fn server(object: &Map<String, Value>) -> Result<IceServer, &'static str> {
    if object.keys().any(|key| !["urls", "username", "credential"].contains(&key.as_str())) {
        return Err("expected no members but urls, username and credential");
    }
    let text = |key: &str| match object.get(key) {
        None => Ok(String::new()),
        Some(value) => value.as_str().map(str::to_owned).ok_or("expected strings in username and credential"),
    };
    let urls = match object.get("urls") {
        Some(Value::String(url)) => Some(vec![url.clone()]),
        Some(Value::Array(urls)) => urls.iter().map(|url| url.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    Ok(IceServer {
        urls: urls.ok_or("expected a string or an array of strings in urls")?,
        username: text("username")?,
        credential: text("credential")?,
    })
}

/// Checks what W3C's "set a configuration" checks, so that no client trips over it.
pub(crate) fn validate(servers: &[IceServer], policy: IceTransportPolicy) -> Result<(), IceServersError> {
    for (position, server) in servers.iter().enumerate() {
        let invalid = |expected| Err(IceServersError::Element { position, expected });
        let has_scheme = |url: &String| ["stun:", "stuns:", "turn:", "turns:"].iter().any(|s| url.starts_with(s));
        if server.urls.is_empty() || !server.urls.iter().all(has_scheme) {
            return invalid("expected URLs that begin with stun:, stuns:, turn: or turns:");
        }
        if server.urls.iter().any(|url| is_relay(url)) && (server.username.is_empty() || server.credential.is_empty()) {
            return invalid("expected username and credential for TURN");
        }
    }
    let relays = servers.iter().flat_map(|server| &server.urls).any(|url| is_relay(url));
    if policy == IceTransportPolicy::Relay && !relays { Err(IceServersError::NoRelay) } else { Ok(()) }
}

fn is_relay(url: &str) -> bool {
    url.starts_with("turn:") || url.starts_with("turns:")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_read_as_browsers_take_them() {
        let text = r#"[{"urls":"stun:a"},{"urls":["turn:b?transport=udp","turns:b"],"username":"u","credential":"p"}]"#;
        let servers = parse_ice_servers(text).expect("valid");
        assert_eq!(servers[0].urls, ["stun:a"]);
        assert_eq!((servers[1].urls.len(), servers[1].username.as_str()), (2, "u"));
        assert_eq!(parse_ice_servers("[]").map(|servers| servers.len()), Ok(0));
    }

    #[test]
    fn what_cannot_be_used_is_told_without_a_password() {
        let element = |text: &str| format!("[{{\"urls\":\"stun:a\"}},{text}]");
        for bad in [
            "",
            "{}",
            "hunter2",
            &element("\"hunter2\""),
            &element(r#"{"urls":[]}"#),
            &element(r#"{"urls":"http:hunter2"}"#),
            &element(r#"{"urls":["turn:a",1],"username":"u","credential":"hunter2"}"#),
            &element(r#"{"urls":"turn:a","username":"hunter2"}"#),
            &element(r#"{"urls":"turn:a","username":["hunter2"],"credential":"p"}"#),
            &element(r#"{"url":"turn:a","username":"u","credential":"hunter2"}"#),
        ] {
            let error = parse_ice_servers(bad).expect_err(bad);
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_policy_relay_needs_a_relay() {
        let stun = parse_ice_servers(r#"[{"urls":"stun:a"}]"#).expect("valid");
        assert_eq!(validate(&stun, IceTransportPolicy::Relay), Err(IceServersError::NoRelay));
        assert_eq!(validate(&[], IceTransportPolicy::Relay), Err(IceServersError::NoRelay));
    }
}
