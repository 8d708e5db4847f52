//! The fingerprint of RSA keys whose private key can be computed from the public
//! one (ROCA, CVE-2017-15361): Nemec, Sys, Svenda, Klinec, Matyas, "The Return of
//! Coppersmith's Attack", CCS 2017, section 3.
//!
//! The faulty library makes primes of the form `k·M + (65537^a mod M)`, `M` the
//! product of the first 39 primes or more. A modulus of two such primes is a
//! power of 65537 modulo `M`: so modulo each small prime, with one exponent that
//! fits all. Of other moduli one in about 2^154 is.

/// The base of the powers.
const GENERATOR: u32 = 65537;

/// The odd ones of the first 39 primes, whose product divides every `M`.
const PRIMES: [u32; 38] = [
    3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107, 109,
    113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
];

/// Whether a modulus (big endian) has the fingerprint.
pub(super) fn has_fingerprint(modulus: &[u8]) -> bool {
    let mut exponents: Vec<(u32, u32)> = Vec::with_capacity(PRIMES.len());
    for prime in PRIMES {
        let residue = modulus.iter().fold(0, |rest, byte| (rest * 256 + u32::from(*byte)) % prime);
        let Some(exponent) = logarithm(residue, prime) else { return false };
        // One exponent fits all if it fits each two (the Chinese remainder theorem).
        let fits = |(other, of): &(u32, u32)| {
            let common = divisor(*of, exponent.1);
            other % common == exponent.0 % common
        };
        if !exponents.iter().all(fits) {
            return false;
        }
        exponents.push(exponent);
    }
    true
}

/// The exponent of a power of the generator modulo a prime, and the order of the
/// generator, modulo which it holds.
fn logarithm(residue: u32, prime: u32) -> Option<(u32, u32)> {
    let (mut power, mut found, mut order) = (1 % prime, None, 0);
    loop {
        if power == residue {
            found = found.or(Some(order));
        }
        power = power * (GENERATOR % prime) % prime;
        order += 1;
        if power == 1 % prime {
            return found.map(|exponent| (exponent, order));
        }
    }
}

fn divisor(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { divisor(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_of_the_generator_are_found_with_their_order() {
        // 65537 = 2 (mod 5), which has order 4; = 1 (mod 2^16), = 3 (mod 7) of order 6.
        assert_eq!(logarithm(3, 5), Some((3, 4)));
        assert_eq!(logarithm(6, 7), Some((3, 6)));
        assert_eq!(logarithm(0, 5), None);
        assert!(has_fingerprint(&[1]), "the zeroth power");
        assert!(has_fingerprint(&GENERATOR.to_be_bytes()));
        assert!(!has_fingerprint(&[]));
    }

    #[test]
    fn random_numbers_do_not_have_it() {
        let mut number = [0_u8; 256];
        for _ in 0..20_000 {
            assert!(getrandom::fill(&mut number).is_ok());
            assert!(!has_fingerprint(&number));
        }
    }

    #[test]
    fn a_power_modulo_each_prime_is_not_enough() {
        // 1 and 65537 modulo two primes whose orders (4 for 5, 6 for 7) share 2.
        let fits = |n: u32| PRIMES.iter().take(3).all(|prime| logarithm(n % prime, *prime).is_some());
        let found = (1..105_u32).filter(|n| n % 2 == 1 && fits(*n)).count();
        let consistent = (1..105_u32)
            .filter(|n| n % 2 == 1 && fits(*n))
            .filter(|n| (0..12).any(|e| (0..e).fold(1, |power, _| power * GENERATOR % 105) == n % 105))
            .count();
        assert!(consistent < found, "{consistent} of {found}");
    }
}
