//! Keys of 16 to 31 bytes and values that carry their key's tag, as in the Go benchmarks.

/// A bijection of the 64-bit numbers that looks random (the finaliser of splitmix64).
pub fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ x >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ x >> 31
}

/// A key, which starts with its tag.
#[derive(Clone, Copy)]
pub struct Key {
    bytes: [u8; 31],
    len: u8,
}

impl std::ops::Deref for Key {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len as usize]
    }
}

/// The key of that number.
pub fn key(id: u64) -> Key {
    let tag = mix(id);
    let next = tag.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(1);
    let mut bytes = [0; 31];
    bytes[..8].copy_from_slice(&tag.to_le_bytes());
    bytes[8..16].copy_from_slice(&next.to_le_bytes());
    bytes[16..24].copy_from_slice(&(next ^ tag >> 7).to_le_bytes());
    bytes[24..].copy_from_slice(&(next >> 3 ^ tag).to_le_bytes()[..7]);
    Key { bytes, len: 16 + (tag >> 60) as u8 }
}

/// Makes `value` the value of `key`.
pub fn stamp(value: &mut [u8], key: &[u8]) {
    value[..8].copy_from_slice(&key[..8]);
}

/// Whether `value` is a whole value of `key`.
pub fn is_value(value: &[u8], key: &[u8], size: usize) -> bool {
    value.len() == size && value[..8] == key[..8]
}

/// A generator of random numbers that is fast and repeatable.
pub struct Random(pub u64);

impl Random {
    /// A number below `n`.
    pub fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(1);
        ((u128::from(mix(self.0)) * n as u128) >> 64) as usize
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        self.below(1 << 53) as f64 / (1u64 << 53) as f64
    }
}

/// Draws ranks below `n` by Zipf's law.
pub struct Zipf(Vec<f64>);

impl Zipf {
    /// A table of cumulative probabilities.
    pub fn new(exponent: f64, n: usize) -> Zipf {
        let mut sum = 0.0;
        let mut table: Vec<f64> = (1..=n)
            .map(|rank| {
                sum += (rank as f64).powf(-exponent);
                sum
            })
            .collect();
        table.iter_mut().for_each(|p| *p /= sum);
        Zipf(table)
    }

    /// Draws one.
    pub fn next(&self, random: &mut Random) -> usize {
        let at = random.unit();
        self.0.partition_point(|p| *p < at).min(self.0.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_long_enough() {
        let mut seen = std::collections::HashSet::new();
        for id in 0..20_000 {
            let key = key(id);
            assert!((16..=31).contains(&key.len()));
            assert!(seen.insert(key.to_vec()));
        }
    }

    #[test]
    fn zipf_prefers_low_ranks() {
        let (zipf, mut random) = (Zipf::new(1.0, 1000), Random(1));
        let mut counts = [0; 1000];
        for _ in 0..200_000 {
            counts[zipf.next(&mut random)] += 1;
        }
        // The sum of 1/r over 1000 ranks is 7.485.
        let share = |rank: usize| f64::from(counts[rank - 1]) / 200_000.0 * rank as f64 * 7.485;
        assert!(
            (0.95..1.05).contains(&share(1)) && (0.9..1.1).contains(&share(10)),
            "{} {}",
            share(1),
            share(10)
        );
    }
}
