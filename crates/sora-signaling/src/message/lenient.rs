//! Deserialising what a client can live without: a field of an unexpected type counts as absent.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// `None` if the value has another type.
pub(super) fn optional<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).ok())
}

/// The default if the value has another type.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(optional(deserializer)?.unwrap_or_default())
}

/// The elements that can be read; empty if it is no array.
pub(super) fn elements<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Ok(readable(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// The elements that can be read; `None` if it is no array.
pub(super) fn optional_elements<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Option<Vec<T>>, D::Error> {
    Ok(readable(Value::deserialize(deserializer)?))
}

/// One string or several; everything else is left out.
pub(super) fn strings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(one) => vec![one],
        several => readable(several).unwrap_or_default(),
    })
}

fn readable<T: DeserializeOwned>(value: Value) -> Option<Vec<T>> {
    let Value::Array(elements) = value else {
        return None;
    };
    Some(elements.into_iter().filter_map(|element| serde_json::from_value(element).ok()).collect())
}
