//! Secrets and long texts in `Debug` output: their size is shown, their content is not.

use std::fmt;

/// Shown as `<n bytes>`.
pub(crate) struct Size(pub(crate) usize);

impl fmt::Debug for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

/// Shown as `***` if there is something to hide.
pub(crate) fn hidden<T>(secret: Option<&T>) -> Option<&'static str> {
    secret.map(|_| "***")
}

/// A URL without its query, user and password, which may carry tokens.
pub(crate) fn url(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}
