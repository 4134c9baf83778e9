//! Serial number arithmetic (RFC 1982, RFC 3550 appendix A.1).

/// True if sequence number `a` comes after `b`, across the wrap at 65 536.
#[must_use]
pub const fn is_newer(a: u16, b: u16) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000
}

/// True if RTP timestamp `a` comes after `b`, across the wrap at 2^32.
#[must_use]
pub const fn is_newer_timestamp(a: u32, b: u32) -> bool {
    a != b && a.wrapping_sub(b) < 0x8000_0000
}

/// Turns 16-bit sequence numbers into 64-bit ones that never wrap.
///
/// The first number is placed one cycle up, so that packets that arrive before it in order still have room below.
#[derive(Debug, Clone, Default)]
pub struct SequenceUnwrapper {
    highest: Option<u64>,
}

impl SequenceUnwrapper {
    /// An unwrapper that has seen nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { highest: None }
    }

    /// The 64-bit number nearest to the highest seen so far.
    pub fn unwrap(&mut self, sequence: u16) -> u64 {
        let Some(highest) = self.highest else {
            let first = 0x1_0000 + u64::from(sequence);
            self.highest = Some(first);
            return first;
        };
        let ahead = sequence.wrapping_sub(highest as u16);
        if ahead < 0x8000 {
            let value = highest + u64::from(ahead);
            self.highest = Some(value);
            value
        } else {
            highest.saturating_sub(u64::from(ahead.wrapping_neg()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newer_crosses_the_wrap() {
        assert!(is_newer(0, 65_535));
        assert!(!is_newer(65_535, 0));
        assert!(!is_newer(7, 7));
        assert!(is_newer_timestamp(5, u32::MAX));
    }

    #[test]
    fn unwrapper_follows_wraps_and_reordering() {
        let mut unwrapper = SequenceUnwrapper::new();
        let base = unwrapper.unwrap(65_534);
        assert_eq!(unwrapper.unwrap(65_533), base - 1);
        assert_eq!(unwrapper.unwrap(1), base + 3);
        assert_eq!(unwrapper.unwrap(65_535), base + 1);
        assert_eq!(unwrapper.unwrap(0), base + 2);
        assert_eq!(unwrapper.unwrap(2), base + 4);
    }
}
