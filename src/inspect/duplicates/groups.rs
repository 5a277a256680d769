//! Groups of images that hang together by pairs.

use std::collections::BTreeMap;

/// The groups that pairs of numbers form, the largest first, each in order; of equally large ones the one with the least
/// number first.
pub fn groups(pairs: impl IntoIterator<Item = (u64, u64)>) -> Vec<Vec<u64>> {
    let mut forest = Forest::default();
    for (one, other) in pairs {
        forest.join(one, other);
    }
    let mut groups: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    for number in forest.0.keys().copied().collect::<Vec<_>>() {
        groups.entry(forest.root(number)).or_default().push(number);
    }
    let mut groups: Vec<_> = groups.into_values().collect();
    groups.sort_by(|a, b| b.len().cmp(&a.len()).then(a[0].cmp(&b[0])));
    groups
}

/// Every number's parent; a root is its own.
#[derive(Default)]
struct Forest(BTreeMap<u64, u64>);

impl Forest {
    fn root(&mut self, number: u64) -> u64 {
        let mut root = number;
        while let Some(&parent) = self.0.get(&root).filter(|&&parent| parent != root) {
            root = parent;
        }
        let mut at = number;
        while let Some(parent) = self.0.insert(at, root).filter(|&parent| parent != root && parent != at) {
            at = parent;
        }
        root
    }

    fn join(&mut self, one: u64, other: u64) {
        let (one, other) = (self.root(one), self.root(other));
        self.0.insert(one.max(other), one.min(other));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_that_share_a_number_are_one_group() {
        let pairs = [(5, 9), (1, 2), (8, 7), (9, 4), (2, 1), (20, 7), (30, 8), (4, 5)];
        assert_eq!(groups(pairs), [vec![7, 8, 20, 30], vec![4, 5, 9], vec![1, 2]]);
        assert_eq!(groups([]), Vec::<Vec<u64>>::new());
        let chain = groups((0..10_000).map(|number| (number + 1, number)));
        assert_eq!((chain.len(), chain[0].len()), (1, 10_001));
    }
}
