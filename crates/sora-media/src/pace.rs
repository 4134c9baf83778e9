/// Lets pictures through at a frame rate at most, evenly: which ones is decided by when each is due, so that 25 of 30 are
/// 25 and not every second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Pace {
    interval_us: Option<i64>,
    due_us: Option<i64>,
}

impl Pace {
    /// No limit if `None`; rates below one in ten seconds are that.
    pub(crate) fn new(max_frame_rate: Option<f64>) -> Self {
        Self { interval_us: max_frame_rate.map(|rate| (1e6 / rate.max(0.1)) as i64), due_us: None }
    }

    /// True if a picture of this time may go.
    pub(crate) fn wants(&self, timestamp_us: i64) -> bool {
        let (Some(interval), Some(due)) = (self.interval_us, self.due_us) else { return true };
        // A tenth earlier than due still counts: cameras are not exact. A time long before it is a clock set back.
        let early = due.saturating_sub(timestamp_us);
        early <= interval / 10 || early > 2 * interval
    }

    /// Notes that the picture of this time went.
    pub(crate) fn went(&mut self, timestamp_us: i64) {
        let Some(interval) = self.interval_us else { return };
        // After a pause nothing is made up for.
        let on_time = self.due_us.filter(|due| due.abs_diff(timestamp_us) < interval.unsigned_abs());
        self.due_us = Some(on_time.unwrap_or(timestamp_us).saturating_add(interval));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(limit: Option<f64>, times: impl Iterator<Item = i64>) -> Vec<i64> {
        let mut pace = Pace::new(limit);
        times.filter(|time| pace.wants(*time).then(|| pace.went(*time)).is_some()).collect()
    }

    #[test]
    fn any_rate_below_the_sources_is_met() {
        let source = || (0..300).map(|number| number * 33_333);
        for (limit, expected) in [(25.0, 250), (20.0, 200), (15.0, 150), (29.0, 290), (1.0, 10), (60.0, 300)] {
            let count = passed(Some(limit), source()).len() as i64;
            assert!((count - expected).abs() <= 1, "{limit}: {count}");
        }
        assert_eq!(passed(None, source()).len(), 300);
    }

    #[test]
    fn pauses_and_clocks_that_jump_make_no_burst_and_no_silence() {
        let times = (0..30).map(|n| n * 33_333).chain((0..30).map(|n| 9_000_000 + n * 33_333));
        assert!((19..=21).contains(&passed(Some(10.0), times).len()));
        let back = (0..30).map(|n| 9_000_000 + n * 33_333).chain((0..30).map(|n| n * 33_333));
        assert!((19..=21).contains(&passed(Some(10.0), back).len()));
        assert_eq!(passed(Some(10.0), [i64::MIN, i64::MAX, 0].into_iter()).len(), 3);
    }
}
