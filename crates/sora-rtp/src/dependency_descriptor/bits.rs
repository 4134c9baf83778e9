//! Bits, highest first (AV1 specification section 4.10).

use super::{DecodeTargetIndication, DependencyError};

pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// In bits.
    offset: usize,
}

impl<'a> BitReader<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { data, offset: 0 }
    }

    /// f(n), at most 32 bits.
    pub(super) fn bits(&mut self, count: u32) -> Result<u32, DependencyError> {
        let mut value = 0;
        for _ in 0..count {
            let byte = self.data.get(self.offset / 8).ok_or(DependencyError::Truncated(self.data.len()))?;
            value = value << 1 | u32::from(byte >> (7 - self.offset % 8) & 1);
            self.offset += 1;
        }
        Ok(value)
    }

    pub(super) fn flag(&mut self) -> Result<bool, DependencyError> {
        Ok(self.bits(1)? == 1)
    }

    /// ns(n): a number below `limit`, which is at least 1.
    pub(super) fn non_symmetric(&mut self, limit: u32) -> Result<u32, DependencyError> {
        let (width, short) = non_symmetric(limit);
        let value = self.bits(width - 1)?;
        if value < short {
            return Ok(value);
        }
        Ok((value << 1) - short + self.bits(1)?)
    }

    pub(super) fn dtis(&mut self, count: usize) -> Result<Vec<DecodeTargetIndication>, DependencyError> {
        (0..count).map(|_| Ok(DecodeTargetIndication::from_bits(self.bits(2)?))).collect()
    }
}

/// Bits of the longer codes of ns(n), and how many shorter ones there are.
const fn non_symmetric(limit: u32) -> (u32, u32) {
    let width = u32::BITS - limit.leading_zeros();
    (width, (1 << width) - limit)
}

#[derive(Default)]
pub(super) struct BitWriter {
    out: Vec<u8>,
    /// Bits used in the last byte, 0 to 7; 0 means all.
    used: u32,
}

impl BitWriter {
    pub(super) fn bits(&mut self, value: u32, count: u32) {
        for bit in (0..count).rev() {
            if self.used == 0 {
                self.out.push(0);
            }
            if let Some(last) = self.out.last_mut() {
                *last |= ((value >> bit & 1) as u8) << (7 - self.used);
            }
            self.used = (self.used + 1) % 8;
        }
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.bits(u32::from(flag), 1);
    }

    pub(super) fn non_symmetric(&mut self, value: u32, limit: u32) {
        let (width, short) = non_symmetric(limit);
        if value < short {
            self.bits(value, width - 1);
        } else {
            self.bits(value + short, width);
        }
    }

    pub(super) fn dtis(&mut self, dtis: &[DecodeTargetIndication]) {
        dtis.iter().for_each(|dti| self.bits(*dti as u32, 2));
    }

    /// The bytes; zeros fill the last one.
    pub(super) fn finish(self) -> Vec<u8> {
        self.out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_symmetric_numbers_are_those_of_the_specification() {
        // ns(5): 00, 01, 10, 110, 111 (AV1 specification section 4.10.7).
        let codes = [(0, 0b00, 2), (1, 0b01, 2), (2, 0b10, 2), (3, 0b110, 3), (4, 0b111, 3)];
        for (value, code, length) in codes {
            let mut writer = BitWriter::default();
            writer.non_symmetric(value, 5);
            assert_eq!(writer.finish(), [code << (8 - length)]);
        }
        for limit in 1..=33 {
            for value in 0..limit {
                let mut writer = BitWriter::default();
                writer.flag(true);
                writer.non_symmetric(value, limit);
                writer.bits(0b10, 2);
                let bytes = writer.finish();
                let mut reader = BitReader::new(&bytes);
                assert_eq!(reader.flag(), Ok(true));
                assert_eq!(reader.non_symmetric(limit), Ok(value));
                assert_eq!(reader.bits(2), Ok(0b10));
            }
        }
    }
}
