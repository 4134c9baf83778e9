//! Ids as Sora issues them.

/// Crockford's alphabet: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Length of an id, also on the wire in messaging headers.
pub const ID_LEN: usize = 26;

/// A 26 character id from random bytes: a version 4 UUID in Crockford's Base32.
#[must_use]
pub fn new_id(mut random: [u8; 16]) -> String {
    random[6] = random[6] & 0x0f | 0x40;
    random[8] = random[8] & 0x3f | 0x80;
    let value = u128::from_be_bytes(random);
    (0..ID_LEN).rev().map(|digit| char::from(ALPHABET[(value >> (digit * 5) & 31) as usize])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_26_characters_of_the_alphabet_and_differ() {
        let (a, b) = (new_id([7; 16]), new_id([8; 16]));
        assert_eq!(a.len(), ID_LEN);
        assert!(a.bytes().all(|c| ALPHABET.contains(&c)));
        assert_ne!(a, b);
    }
}
