//! What a client does not want to receive (`forwarding_filters` of `connect`).

use std::collections::HashSet;

use serde_json::{Map, Value};
use sora_peer::MediaKind;

/// Bounds the work per track; filters of real applications have a handful of each.
const MAX_FILTERS: usize = 64;
const MAX_RULES: usize = 64;
const MAX_VALUES: usize = 1024;
/// Ids are at most this long, so longer values match nothing.
const MAX_VALUE_BYTES: usize = 255;
/// What Sora gives a filter that names no priority.
const DEFAULT_PRIORITY: u64 = 32_767;
const MAX_PRIORITY: u64 = 65_535;

/// Why filters cannot be used. Quotes nothing: metadata may be in them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidFilter {
    #[error("expected forwarding_filter or forwarding_filters, not both")]
    Both,
    #[error("expected an array of up to {MAX_FILTERS} filters")]
    Filters,
    #[error("expected filters to be objects")]
    Filter,
    #[error("expected block or allow in \"action\"")]
    Action,
    #[error("expected 0 to {MAX_PRIORITY} in \"priority\"")]
    Priority,
    #[error("expected strings in \"name\" and \"version\"")]
    Text,
    #[error("expected an array of up to {MAX_RULES} arrays of 1 to {MAX_RULES} conditions in \"rules\"")]
    Rules,
    #[error("expected connection_id, client_id or kind in \"field\"")]
    Field,
    #[error("expected is_in or is_not_in in \"operator\"")]
    Operator,
    #[error("expected up to {MAX_VALUES} strings of up to {MAX_VALUE_BYTES} bytes in \"values\"")]
    Values,
    #[error("expected audio or video in the values of kind")]
    Kind,
}

impl InvalidFilter {
    pub(crate) fn close_reason(self) -> &'static str {
        "INVALID-FORWARDING-FILTER"
    }
}

/// A track somebody else sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) connection_id: &'a str,
    pub(crate) client_id: &'a str,
    pub(crate) kind: MediaKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Block,
    Allow,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    ConnectionId,
    ClientId,
    Kind,
}

#[derive(Debug, Clone)]
struct Condition {
    field: Field,
    /// True for `is_in`.
    is_in: bool,
    values: HashSet<String>,
}

#[derive(Debug, Clone)]
struct Filter {
    priority: u64,
    action: Action,
    /// One of these has to match, with all its conditions.
    rules: Vec<Vec<Condition>>,
}

/// The filters of one connection, in the order they are asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct ForwardingFilters(Vec<Filter>);

impl ForwardingFilters {
    /// Reads the old single form and the list.
    pub(crate) fn parse(single: Option<&Value>, list: Option<&Value>) -> Result<Self, InvalidFilter> {
        let mut filters = match (single, list) {
            (None, None) => Vec::new(),
            (Some(filter), None) => vec![Filter::parse(filter)?],
            (None, Some(Value::Array(filters))) if filters.len() <= MAX_FILTERS => {
                filters.iter().map(Filter::parse).collect::<Result<_, _>>()?
            }
            (None, Some(_)) => return Err(InvalidFilter::Filters),
            (Some(_), Some(_)) => return Err(InvalidFilter::Both),
        };
        // Stable: filters of one priority keep their order.
        filters.sort_by_key(|filter| filter.priority);
        Ok(Self(filters))
    }

    /// The first filter that matches decides, the smallest priority first. What none matches is forwarded, unless all
    /// filters only allow: then they name everything that is wanted.
    pub(crate) fn forwards(&self, source: Source<'_>) -> bool {
        match self.0.iter().find(|filter| filter.matches(source)) {
            Some(filter) => filter.action == Action::Allow,
            None => self.0.is_empty() || self.0.iter().any(|filter| filter.action == Action::Block),
        }
    }
}

impl Filter {
    fn parse(filter: &Value) -> Result<Self, InvalidFilter> {
        let filter = filter.as_object().ok_or(InvalidFilter::Filter)?;
        if ["name", "version"].iter().any(|key| filter.get(*key).is_some_and(|text| !text.is_string())) {
            return Err(InvalidFilter::Text);
        }
        let action = match filter.get("action").map(Value::as_str) {
            None | Some(Some("block")) => Action::Block,
            Some(Some("allow")) => Action::Allow,
            Some(_) => return Err(InvalidFilter::Action),
        };
        let priority = match filter.get("priority") {
            None => DEFAULT_PRIORITY,
            Some(priority) => {
                priority.as_u64().filter(|priority| *priority <= MAX_PRIORITY).ok_or(InvalidFilter::Priority)?
            }
        };
        let rules = filter.get("rules").and_then(Value::as_array).filter(|rules| rules.len() <= MAX_RULES);
        let rules = rules.ok_or(InvalidFilter::Rules)?.iter().map(rule).collect::<Result<_, _>>()?;
        Ok(Self { priority, action, rules })
    }

    fn matches(&self, source: Source<'_>) -> bool {
        self.rules.iter().any(|rule| rule.iter().all(|condition| condition.holds(source)))
    }
}

/// A rule without conditions would match everything, which nobody means.
fn rule(rule: &Value) -> Result<Vec<Condition>, InvalidFilter> {
    let conditions = rule.as_array().filter(|conditions| (1..=MAX_RULES).contains(&conditions.len()));
    let conditions = conditions.ok_or(InvalidFilter::Rules)?.iter();
    conditions.map(|condition| Condition::parse(condition.as_object().ok_or(InvalidFilter::Rules)?)).collect()
}

impl Condition {
    fn parse(condition: &Map<String, Value>) -> Result<Self, InvalidFilter> {
        let text = |key: &str| condition.get(key).and_then(Value::as_str);
        let field = match text("field") {
            Some("connection_id") => Field::ConnectionId,
            Some("client_id") => Field::ClientId,
            Some("kind") => Field::Kind,
            _ => return Err(InvalidFilter::Field),
        };
        let is_in = match text("operator") {
            Some("is_in") => true,
            Some("is_not_in") => false,
            _ => return Err(InvalidFilter::Operator),
        };
        let values = condition.get("values").and_then(Value::as_array).filter(|values| values.len() <= MAX_VALUES);
        let value = |value: &Value| value.as_str().filter(|text| text.len() <= MAX_VALUE_BYTES).map(str::to_owned);
        let values: HashSet<String> =
            values.and_then(|values| values.iter().map(value).collect::<Option<_>>()).ok_or(InvalidFilter::Values)?;
        if field == Field::Kind && values.iter().any(|kind| !["audio", "video"].contains(&kind.as_str())) {
            return Err(InvalidFilter::Kind);
        }
        Ok(Self { field, is_in, values })
    }

    fn holds(&self, source: Source<'_>) -> bool {
        let value = match self.field {
            Field::ConnectionId => source.connection_id,
            Field::ClientId => source.client_id,
            Field::Kind => source.kind.as_str(),
        };
        self.values.contains(value) == self.is_in
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn source(client_id: &str, kind: MediaKind) -> Source<'_> {
        Source { connection_id: "CONNECTION", client_id, kind }
    }

    fn list(filters: &Value) -> ForwardingFilters {
        ForwardingFilters::parse(None, Some(filters)).expect("valid")
    }

    fn is_in(field: &str, values: &[&str]) -> Value {
        json!({ "field": field, "operator": "is_in", "values": values })
    }

    #[test]
    fn rules_are_alternatives_and_their_conditions_all_have_to_hold() {
        let both = json!([is_in("client_id", &["a"]), is_in("kind", &["video"])]);
        let filters = list(&json!([{ "rules": [both, [is_in("client_id", &["b"])]] }]));
        let forwards = |client_id, kind| filters.forwards(source(client_id, kind));
        assert!(forwards("a", MediaKind::Audio) && !forwards("a", MediaKind::Video));
        assert!(!forwards("b", MediaKind::Audio) && !forwards("b", MediaKind::Video));
        assert!(forwards("c", MediaKind::Video));
    }

    #[test]
    fn is_not_in_matches_everybody_else() {
        let rule = json!([{ "field": "connection_id", "operator": "is_not_in", "values": ["OTHER"] }]);
        let filters = ForwardingFilters::parse(Some(&json!({ "rules": [rule] })), None).expect("valid");
        assert!(!filters.forwards(source("a", MediaKind::Audio)));
    }

    #[test]
    fn filters_that_only_allow_block_the_rest() {
        let filters = list(&json!([{ "action": "allow", "rules": [[is_in("kind", &["audio"])]] }]));
        assert!(filters.forwards(source("a", MediaKind::Audio)));
        assert!(!filters.forwards(source("a", MediaKind::Video)));
        assert!(ForwardingFilters::default().forwards(source("a", MediaKind::Video)), "no filters, no limits");
    }

    #[test]
    fn the_smaller_priority_decides_whatever_the_order() {
        let filters = list(&json!([
            { "name": "all", "action": "block", "rules": [[is_in("kind", &["video"])]] },
            { "name": "me", "priority": 1, "action": "allow", "rules": [[is_in("client_id", &["me"])]] },
        ]));
        assert!(filters.forwards(source("me", MediaKind::Video)));
        assert!(!filters.forwards(source("you", MediaKind::Video)));
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        let condition = |change: Value| {
            let mut condition = is_in("kind", &["audio"]);
            condition.as_object_mut().expect("an object").extend(change.as_object().expect("an object").clone());
            json!({ "rules": [[condition]] })
        };
        let cases = [
            (json!("filter"), InvalidFilter::Filter),
            (json!({}), InvalidFilter::Rules),
            (json!({ "rules": [[]] }), InvalidFilter::Rules),
            (json!({ "rules": ["x"] }), InvalidFilter::Rules),
            (json!({ "rules": [["x"]] }), InvalidFilter::Rules),
            (json!({ "rules": vec![json!([is_in("kind", &[])]); 65] }), InvalidFilter::Rules),
            (json!({ "rules": [], "action": "drop" }), InvalidFilter::Action),
            (json!({ "rules": [], "priority": -1 }), InvalidFilter::Priority),
            (json!({ "rules": [], "priority": 65_536 }), InvalidFilter::Priority),
            (json!({ "rules": [], "name": 1 }), InvalidFilter::Text),
            (condition(json!({ "field": "role" })), InvalidFilter::Field),
            (condition(json!({ "operator": "is" })), InvalidFilter::Operator),
            (condition(json!({ "values": "audio" })), InvalidFilter::Values),
            (condition(json!({ "values": [1] })), InvalidFilter::Values),
            (condition(json!({ "values": ["x".repeat(256)] })), InvalidFilter::Values),
            (condition(json!({ "values": ["application"] })), InvalidFilter::Kind),
        ];
        for (filter, error) in cases {
            assert_eq!(ForwardingFilters::parse(Some(&filter), None).err(), Some(error), "{filter}");
        }
        let good = json!({ "rules": [] });
        let error = |list: &Value| ForwardingFilters::parse(None, Some(list)).err();
        assert_eq!(error(&good), Some(InvalidFilter::Filters));
        assert_eq!(error(&json!(vec![good.clone(); 65])), Some(InvalidFilter::Filters));
        let both = ForwardingFilters::parse(Some(&good), Some(&json!([good.clone()]))).err();
        assert_eq!(both, Some(InvalidFilter::Both));
    }
}
