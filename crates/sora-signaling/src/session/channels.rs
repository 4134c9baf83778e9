use std::collections::BTreeMap;

use crate::message::OfferDataChannel;

/// Channels a server can have; more are not noticed. Labels of the offer come first.
const MAX_CHANNELS: usize = 1024;

#[derive(Debug, Default)]
struct Channel {
    listed: bool,
    compress: bool,
    open: bool,
    announced: bool,
}

/// The data channels by label, sorted as the application is told about them.
#[derive(Debug, Default)]
pub(super) struct Channels(BTreeMap<String, Channel>);

impl Channels {
    pub(super) fn set_offered(&mut self, offered: &[OfferDataChannel]) {
        for channel in offered.iter().take(MAX_CHANNELS) {
            let entry = self.0.entry(channel.label.clone()).or_default();
            entry.listed = true;
            entry.compress = channel.compress;
        }
    }

    /// Marks a channel open and returns the labels the application has not been told about.
    pub(super) fn opened(&mut self, label: &str) -> Vec<String> {
        if self.0.len() >= MAX_CHANNELS && !self.0.contains_key(label) {
            return Vec::new();
        }
        self.0.entry(label.to_owned()).or_default().open = true;
        let mut fresh = Vec::new();
        for (label, channel) in &mut self.0 {
            if channel.listed && channel.open && !channel.announced {
                channel.announced = true;
                fresh.push(label.clone());
            }
        }
        fresh
    }

    /// Marks a channel closed. Returns true if it was open and none is open any more.
    pub(super) fn closed(&mut self, label: &str) -> bool {
        let Some(channel) = self.0.get_mut(label) else {
            return false;
        };
        let was_open = std::mem::take(&mut channel.open);
        if !channel.listed {
            self.0.remove(label);
        }
        was_open && self.none_open()
    }

    pub(super) fn none_open(&self) -> bool {
        !self.0.values().any(|channel| channel.open)
    }

    pub(super) fn is_open(&self, label: &str) -> bool {
        self.0.get(label).is_some_and(|channel| channel.open)
    }

    /// True if the offer lists it.
    pub(super) fn is_listed(&self, label: &str) -> bool {
        self.0.get(label).is_some_and(|channel| channel.listed)
    }

    pub(super) fn compresses(&self, label: &str) -> bool {
        self.0.get(label).is_some_and(|channel| channel.compress)
    }
}
