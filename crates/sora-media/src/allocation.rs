//! How the bandwidth at hand is shared by simulcast layers.

/// What a layer of one picture size is worth, in bits per second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Below this it is better to send nothing.
    pub(crate) min: u64,
    /// What it gets before the layer above gets anything.
    pub(crate) target: u64,
    /// More does not show.
    pub(crate) max: u64,
}

/// Pixels up to which the limits hold: those that browsers use for simulcast layers.
const BY_SIZE: [(u64, Limits); 7] = [
    (320 * 180, Limits { min: 30_000, target: 150_000, max: 200_000 }),
    (480 * 270, Limits { min: 120_000, target: 350_000, max: 450_000 }),
    (640 * 360, Limits { min: 150_000, target: 500_000, max: 700_000 }),
    (960 * 540, Limits { min: 350_000, target: 1_200_000, max: 1_200_000 }),
    (1280 * 720, Limits { min: 600_000, target: 2_500_000, max: 2_500_000 }),
    (1920 * 1080, Limits { min: 800_000, target: 4_000_000, max: 5_000_000 }),
    (u64::MAX, Limits { min: 1_500_000, target: 8_000_000, max: 12_000_000 }),
];

impl Limits {
    /// Of a layer with this size, unless its own limits are given.
    pub(crate) fn of_layer(width: u32, height: u32, min: Option<u64>, max: Option<u64>) -> Self {
        let pixels = u64::from(width) * u64::from(height);
        let usual = BY_SIZE.iter().find(|(most, _)| pixels <= *most).map_or(BY_SIZE[6].1, |(_, limits)| *limits);
        let max = max.unwrap_or(usual.max).max(1);
        Self { min: min.unwrap_or(usual.min).min(max), target: usual.target.min(max), max }
    }

    /// Of the only stream of a picture: up to what its size deserves.
    pub(crate) fn of_stream(width: u32, height: u32, min: Option<u64>, max: Option<u64>) -> Self {
        let usual = match u64::from(width) * u64::from(height) {
            pixels if pixels <= 320 * 240 => 600_000,
            pixels if pixels <= 640 * 480 => 1_700_000,
            pixels if pixels <= 960 * 540 => 2_000_000,
            pixels if pixels <= 1920 * 1080 => 2_500_000,
            _ => 5_000_000,
        };
        let max = max.unwrap_or(usual).max(1);
        Self { min: min.unwrap_or(0).min(max), target: max, max }
    }
}

/// Bits per second for each layer, lowest first; `None` for layers that have to wait. The lowest is always sent. Each
/// layer gets its target before the next gets anything; what is left goes to the highest that is sent.
///
/// `sent` says which are sent now. One that waits begins with a key frame, so it has to have a fifth more than its least:
/// an estimate that goes up and down does not switch it on and off.
pub(crate) fn allocate(bandwidth: u64, layers: &[Limits], sent: &[bool]) -> Vec<Option<u64>> {
    let mut left = bandwidth;
    let mut rates: Vec<Option<u64>> = vec![None; layers.len()];
    let mut highest = None;
    for (index, (layer, rate)) in layers.iter().zip(&mut rates).enumerate() {
        let least = if sent.get(index).is_some_and(|sent| *sent) { layer.min } else { layer.min / 5 * 6 };
        if left < least && index > 0 {
            break;
        }
        let given = left.min(layer.target);
        *rate = Some(given);
        left -= given;
        highest = Some(index);
    }
    if let Some(index) = highest
        && let Some(rate) = &mut rates[index]
    {
        *rate += left.min(layers[index].max.saturating_sub(*rate));
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<Limits> {
        [(320, 180), (640, 360), (1280, 720)].map(|(w, h)| Limits::of_layer(w, h, None, None)).to_vec()
    }

    #[test]
    fn low_layers_come_first_and_the_highest_gets_the_rest() {
        assert_eq!(allocate(2_500_000, &layers(), &[true; 3]), [Some(150_000), Some(500_000), Some(1_850_000)]);
        assert_eq!(allocate(10_000_000, &layers(), &[true; 3]), [Some(150_000), Some(500_000), Some(2_500_000)]);
        assert_eq!(allocate(1_000_000, &layers(), &[true; 3]), [Some(150_000), Some(700_000), None]);
        assert_eq!(allocate(400_000, &layers(), &[true; 3]), [Some(150_000), Some(250_000), None]);
        assert_eq!(allocate(200_000, &layers(), &[true; 3]), [Some(200_000), None, None]);
        assert_eq!(allocate(10_000, &layers(), &[true; 3]), [Some(10_000), None, None]);
        assert_eq!(allocate(1_000_000, &[], &[]), []);
    }

    #[test]
    fn limits_of_the_offer_go_before_the_usual_ones() {
        let own = Limits::of_layer(1280, 720, Some(100_000), Some(400_000));
        assert_eq!(own, Limits { min: 100_000, target: 400_000, max: 400_000 });
        assert_eq!(Limits::of_layer(1280, 720, Some(900_000), Some(50_000)).min, 50_000);
        assert_eq!(Limits::of_layer(16_383, 2000, None, None).max, 12_000_000);
        assert_eq!(Limits::of_stream(1280, 720, None, Some(0)).max, 1);
    }

    #[test]
    fn a_layer_that_waits_needs_a_little_more_to_begin() {
        let all = [true; 3];
        let two = [true, true, false];
        // 650,000 are what the others take; 600,000 the third's least.
        assert!(allocate(1_260_000, &layers(), &all)[2].is_some());
        assert!(allocate(1_260_000, &layers(), &two)[2].is_none());
        assert!(allocate(1_370_000, &layers(), &two)[2].is_some());
        assert!(allocate(1_240_000, &layers(), &all)[2].is_none());
    }
}
