//! Simulcast layers: their names, and what an offer tells a sender about them.

use std::fmt::{self, Display, Formatter};

use serde_json::{Map, Value, json};
use sora_peer::SimulcastRid;

/// A layer of a simulcast sender, by size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Rid {
    /// The smallest.
    R0,
    /// The middle one.
    R1,
    /// The largest.
    R2,
}

impl Rid {
    pub(crate) const ALL: [Self; 3] = [Self::R0, Self::R1, Self::R2];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::R0 => "r0",
            Self::R1 => "r1",
            Self::R2 => "r2",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|rid| rid.as_str() == word)
    }
}

impl Display for Rid {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a receiver wants of a simulcast sender: at best this layer, or nothing at all.
pub(crate) type Request = Option<Rid>;

/// What a receiver gets that asks for nothing in particular.
pub(crate) const DEFAULT_REQUEST: Request = Some(Rid::R0);

/// A request as it is written in messages: `none` or a layer.
pub(crate) const fn word(request: Request) -> &'static str {
    match request {
        None => "none",
        Some(rid) => rid.as_str(),
    }
}

/// Reads a request; `None` if it is none.
pub(crate) fn parse_request(word: &str) -> Option<Request> {
    if word == "none" { Some(None) } else { Rid::parse(word).map(Some) }
}

/// Why `simulcast_encodings` of an access token cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum EncodingsError {
    #[error("expected an array of 1 to 3 objects")]
    Shape,
    #[error("expected r0, r1 or r2 in \"rid\"")]
    Rid,
    #[error("expected one encoding for {0}, got several")]
    Twice(Rid),
    #[error("expected {expected} in {member:?} of {rid}")]
    Member { rid: Rid, member: &'static str, expected: &'static str },
}

const MAX_SCALABILITY_MODE: usize = 16;
/// Above what any network or camera of today needs; a number beyond it is a mistake.
const MAX_NUMBER: f64 = 1e9;

type Check = fn(&Value) -> bool;

/// The members an encoding may have besides its rid, and what they have to be.
const MEMBERS: [(&str, &str, Check); 8] = [
    ("active", "a boolean", Value::is_boolean),
    ("maxBitrate", "a positive number", is_positive),
    ("minBitrate", "a positive number", is_positive),
    ("maxFramerate", "a positive number", is_positive),
    ("scaleResolutionDownBy", "a number of at least 1", |value| is_positive(value) && value.as_f64() >= Some(1.0)),
    ("scaleResolutionDownTo", "an object with maxWidth and maxHeight", is_size),
    ("adaptivePtime", "a boolean", Value::is_boolean),
    ("scalabilityMode", "a mode such as L1T2", is_mode),
];

fn is_positive(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number > 0.0 && number <= MAX_NUMBER)
}

fn is_size(value: &Value) -> bool {
    let side = |name: &str| value.get(name).and_then(Value::as_u64).is_some_and(|side| (1..=65_535).contains(&side));
    value.as_object().is_some_and(|object| object.len() == 2) && side("maxWidth") && side("maxHeight")
}

fn is_mode(value: &Value) -> bool {
    value.as_str().is_some_and(|mode| {
        (1..=MAX_SCALABILITY_MODE).contains(&mode.len()) && mode.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

/// How a simulcast sender is to encode its layers, lowest first.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Encodings(Vec<(Rid, Map<String, Value>)>);

impl Default for Encodings {
    fn default() -> Self {
        let encoding = |(rid, divisor): (Rid, f64)| {
            // Without a mode browsers send VP9 and AV1 in one stream with spatial layers instead.
            let members = [
                ("active".to_owned(), json!(true)),
                ("scaleResolutionDownBy".to_owned(), json!(divisor)),
                ("scalabilityMode".to_owned(), json!("L1T1")),
            ];
            (rid, members.into_iter().collect())
        };
        Self([(Rid::R0, 4.0), (Rid::R1, 2.0), (Rid::R2, 1.0)].map(encoding).to_vec())
    }
}

impl Encodings {
    /// Reads the claim. Members that are not known here are left out: clients may not know them either.
    pub(crate) fn parse(claim: &Value) -> Result<Self, EncodingsError> {
        let elements = claim.as_array().filter(|elements| (1..=Rid::ALL.len()).contains(&elements.len()));
        let mut encodings: Vec<(Rid, Map<String, Value>)> = Vec::new();
        for element in elements.ok_or(EncodingsError::Shape)? {
            let element = element.as_object().ok_or(EncodingsError::Shape)?;
            let rid = element.get("rid").and_then(Value::as_str).and_then(Rid::parse).ok_or(EncodingsError::Rid)?;
            if encodings.iter().any(|(known, _)| *known == rid) {
                return Err(EncodingsError::Twice(rid));
            }
            encodings.push((rid, members(rid, element)?));
        }
        encodings.sort_by_key(|(rid, _)| *rid);
        Ok(Self(encodings))
    }

    /// As the offer has them.
    pub(crate) fn to_json(&self) -> Value {
        let encoding = |(rid, members): &(Rid, Map<String, Value>)| {
            let mut object = Map::from_iter([("rid".to_owned(), json!(rid.as_str()))]);
            object.extend(members.clone());
            Value::Object(object)
        };
        self.0.iter().map(encoding).collect()
    }

    /// As the SDP has them.
    pub(crate) fn rids(&self) -> Vec<SimulcastRid> {
        let layer = |(rid, members): &(Rid, Map<String, Value>)| SimulcastRid {
            rid: rid.as_str().to_owned(),
            active: members.get("active") != Some(&Value::Bool(false)),
        };
        self.0.iter().map(layer).collect()
    }
}

fn members(rid: Rid, element: &Map<String, Value>) -> Result<Map<String, Value>, EncodingsError> {
    let mut members = Map::new();
    for (member, expected, check) in MEMBERS {
        let Some(value) = element.get(member) else { continue };
        if !check(value) {
            return Err(EncodingsError::Member { rid, member, expected });
        }
        members.insert(member.to_owned(), value.clone());
    }
    members.entry("active").or_insert(Value::Bool(true));
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_default_the_layers_are_a_quarter_a_half_and_all_of_a_side() {
        let expected = json!([
            { "rid": "r0", "active": true, "scaleResolutionDownBy": 4.0, "scalabilityMode": "L1T1" },
            { "rid": "r1", "active": true, "scaleResolutionDownBy": 2.0, "scalabilityMode": "L1T1" },
            { "rid": "r2", "active": true, "scaleResolutionDownBy": 1.0, "scalabilityMode": "L1T1" },
        ]);
        assert_eq!(Encodings::default().to_json(), expected);
        assert_eq!(Encodings::parse(&expected), Ok(Encodings::default()));
    }

    #[test]
    fn known_members_pass_through_and_layers_come_in_order() {
        let all = json!({
            "rid": "r1", "active": false, "maxBitrate": 1_000_000, "minBitrate": 30_000.5, "maxFramerate": 15,
            "scaleResolutionDownBy": 1, "scaleResolutionDownTo": { "maxWidth": 640, "maxHeight": 360 },
            "adaptivePtime": true, "scalabilityMode": "L1T3",
        });
        let mut claim = all.clone();
        claim["codec"] = json!({ "mimeType": "video/AV1" });
        let encodings = Encodings::parse(&json!([claim, { "rid": "r0" }])).expect("good");
        assert_eq!(encodings.to_json(), json!([{ "rid": "r0", "active": true }, all]));
        let rids: Vec<(String, bool)> = encodings.rids().into_iter().map(|layer| (layer.rid, layer.active)).collect();
        assert_eq!(rids, [("r0".to_owned(), true), ("r1".to_owned(), false)]);
    }

    #[test]
    fn what_cannot_be_offered_is_refused() {
        let r0 = json!({ "rid": "r0" });
        let shapes = [json!({}), json!([]), json!("r0"), json!(["r0"]), json!([r0, r0, r0, r0])];
        for claim in shapes {
            assert_eq!(Encodings::parse(&claim), Err(EncodingsError::Shape), "{claim}");
        }
        for claim in [json!([{}]), json!([{ "rid": "r3" }]), json!([{ "rid": 0 }]), json!([{ "rid": "none" }])] {
            assert_eq!(Encodings::parse(&claim), Err(EncodingsError::Rid), "{claim}");
        }
        assert_eq!(Encodings::parse(&json!([r0, r0])), Err(EncodingsError::Twice(Rid::R0)));
        let members = [
            ("active", json!(1)),
            ("maxBitrate", json!("1")),
            ("minBitrate", json!(0)),
            ("maxFramerate", json!(-1)),
            ("maxFramerate", json!(1e300)),
            ("scaleResolutionDownBy", json!(0.5)),
            ("scaleResolutionDownTo", json!({ "maxWidth": 640 })),
            ("scaleResolutionDownTo", json!({ "maxWidth": 0, "maxHeight": 360 })),
            ("adaptivePtime", json!(null)),
            ("scalabilityMode", json!("L1T3\r\n")),
            ("scalabilityMode", json!("L".repeat(17))),
        ];
        for (name, value) in members {
            let refused = Encodings::parse(&json!([{ "rid": "r0", name: value }]));
            assert!(matches!(refused, Err(EncodingsError::Member { member, .. }) if member == name), "{name} {value}");
        }
    }

    #[test]
    fn a_request_is_a_layer_or_none() {
        for word in ["none", "r0", "r1", "r2"] {
            assert_eq!(parse_request(word).map(super::word), Some(word));
        }
        assert_eq!([parse_request("r3"), parse_request(""), parse_request("R0")], [None, None, None]);
    }
}
