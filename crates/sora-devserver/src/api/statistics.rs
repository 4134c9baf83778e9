//! Statistics are where the connection is: its task is asked for them.

use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{ApiError, connection, tell};
use crate::Shared;
use crate::api::request::Request;
use crate::channel::{Control, Member};

/// A task answers within microseconds unless the machine is overloaded.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

fn ask(member: &Member) -> Result<oneshot::Receiver<Value>, ApiError> {
    let (reply, answer) = oneshot::channel();
    tell(member, Control::Statistics { reply })?;
    Ok(answer)
}

pub(super) async fn one_connection(shared: &Shared, request: &Request) -> Result<Value, ApiError> {
    let answer = ask(&*connection(shared, request)?)?;
    match tokio::time::timeout(ANSWER_LIMIT, answer).await {
        Ok(Ok(statistics)) => Ok(statistics),
        // It ended before it came to the question.
        Ok(Err(_)) => Err(ApiError::ConnectionNotFound),
        Err(_) => Err(ApiError::ConnectionBusy),
    }
}

/// All connections of all channels; those that end or do not answer meanwhile are left out.
pub(super) async fn all_connections(shared: &Shared) -> Value {
    let channels = shared.registry.snapshot();
    let members = channels.iter().flat_map(|(_, roster)| roster.iter());
    let answers: Vec<_> = members.filter_map(|member| ask(member).ok()).collect();
    let deadline = Instant::now() + ANSWER_LIMIT;
    let mut all = Vec::with_capacity(answers.len());
    for answer in answers {
        if let Ok(Ok(statistics)) = tokio::time::timeout_at(deadline, answer).await {
            all.push(statistics);
        }
    }
    Value::Array(all)
}
