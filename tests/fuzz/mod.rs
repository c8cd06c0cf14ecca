//! What holds for any input whatever: laws, each of them a function of bytes that panics where it is
//! broken.
//!
//! libFuzzer looks for such bytes (`make fuzz`, README.md). Here the seeds are put to their laws, and all
//! that ever broke one.

mod config;
mod date;
mod engine;
mod helper;
mod house;
mod journal;
mod kernel;
mod pattern;
mod samples;
mod store;

/// Panics where the bytes break it.
pub(crate) type Law = fn(&[u8]);

/// Every law, by the name of its folder of seeds.
pub(crate) const LAWS: [(&str, Law); 15] = [
    ("config", config::configuration),
    ("date", date::date),
    ("export", journal::export),
    ("files", house::files),
    ("formula", engine::formula),
    ("import", store::import),
    ("netlink", kernel::netlink),
    ("pattern", pattern::pattern),
    ("protocol", helper::protocol),
    ("record", engine::record),
    ("row", store::row),
    ("sample", samples::sample),
    ("script", helper::script),
    ("value", config::value),
    ("word", engine::word),
];

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn seeds(law: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/seeds");
        let mut paths: Vec<_> = fs::read_dir(folder.join(law))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        paths.sort();
        paths.iter().map(|path| fs::read(path).unwrap()).collect()
    }

    #[test]
    fn every_law_has_seeds_and_holds_for_them() {
        for (name, law) in LAWS {
            let seeds = seeds(name);
            assert!(!seeds.is_empty(), "{name}");
            seeds.iter().for_each(|seed| law(seed));
        }
    }

    /// A few blows to each seed; `BANISHD_BLOWS=100000` for many, `BANISHD_LAW=` for one law.
    #[test]
    fn every_law_holds_for_seeds_that_were_struck() {
        let told = |name: &str| std::env::var(name).ok();
        let count = told("BANISHD_BLOWS").map_or(30, |blows| blows.parse().unwrap());
        let wanted = told("BANISHD_LAW");
        for (name, law) in LAWS {
            if wanted.as_ref().is_some_and(|wanted| wanted != name) {
                continue;
            }
            let seeds = seeds(name);
            for number in 0..count {
                let mut chance = Chance(number);
                let mut bytes = chance.of(&seeds).clone();
                for _ in 0..=chance.below(4) {
                    strike(&mut bytes, &seeds, &mut chance);
                }
                law(&bytes);
            }
        }
    }

    /// Changes a byte, or puts a piece of some seed in place of another piece.
    fn strike(bytes: &mut Vec<u8>, seeds: &[Vec<u8>], chance: &mut Chance) {
        let at = chance.below(bytes.len() + 1);
        let end = (at + chance.below(8)).min(bytes.len());
        let other = chance.of(seeds);
        let from = chance.below(other.len() + 1);
        let to = (from + chance.below(16)).min(other.len());
        match chance.below(3) {
            0 => bytes.extend(chance.0.to_le_bytes().first()),
            1 if at < bytes.len() => bytes[at] ^= 1 << chance.below(8),
            _ => drop(bytes.splice(at..end, other[from..to].iter().copied())),
        }
    }

    /// splitmix64
    struct Chance(u64);

    impl Chance {
        fn below(&mut self, end: usize) -> usize {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            usize::try_from((mixed ^ (mixed >> 31)) >> 33).unwrap() % end
        }

        fn of<'t, T>(&mut self, list: &'t [T]) -> &'t T {
            &list[self.below(list.len())]
        }
    }
}
