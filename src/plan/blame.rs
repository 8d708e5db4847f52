//! Which of several things that are done at once are the ones that cannot be
//! done: found by asking about parts of them.

use std::collections::BTreeSet;

/// The smallest groups, of things numbered from 0 to `count`, to which it is due
/// that all of them at once are faulty. `faulty` says whether those with
/// these numbers are; it gives none where that is still to be asked, and then
/// so does this, after it has asked all that can be asked at that point.
pub(crate) fn groups(count: usize, faulty: impl FnMut(&[usize]) -> Option<bool>) -> Option<Vec<Vec<usize>>> {
    if count <= 1 {
        return Some(vec![(0..count).collect()]);
    }
    let mut oracle = Oracle { faulty };
    let all: Vec<usize> = (0..count).collect();
    let alone = oracle.each(all.iter().map(|one| vec![*one]).collect())?;
    let (bad, mut good): (Vec<usize>, Vec<usize>) = all.iter().partition(|one| alone[**one]);
    let mut found = Vec::new();
    while good.len() > 1 && oracle.each(vec![good.clone()])?[0] {
        let conflict = oracle.conflict(&good)?;
        good.retain(|one| conflict.last() != Some(one));
        found.push(conflict);
    }
    // What cannot be done alone may be possible beside the others.
    let beside = |one: &usize| good.iter().chain([one]).copied().collect::<BTreeSet<usize>>().into_iter().collect();
    let still_bad = oracle.each(bad.iter().map(beside).collect())?;
    let guilty = bad.iter().zip(still_bad).filter(|(_, still)| *still);
    found.extend(guilty.map(|(one, _)| vec![*one]));
    if found.is_empty() {
        found.push(bad);
    }
    found.sort_by_key(|group| group.last().copied());
    Some(found)
}

struct Oracle<F> {
    faulty: F,
}

impl<F: FnMut(&[usize]) -> Option<bool>> Oracle<F> {
    /// The answers to several questions, which are all put before one is waited for.
    fn each(&mut self, questions: Vec<Vec<usize>>) -> Option<Vec<bool>> {
        let answers: Vec<Option<bool>> = questions.iter().map(|chosen| (self.faulty)(chosen)).collect();
        answers.into_iter().collect()
    }

    /// Those that cannot be done together, although each alone can: the first
    /// that cannot be added to the ones before it, and those that stand in its way.
    fn conflict(&mut self, among: &[usize]) -> Option<Vec<usize>> {
        let prefixes = self.each((2..=among.len()).map(|length| among[..length].to_vec()).collect())?;
        let last = prefixes.iter().rposition(|faulty| !faulty).map_or(1, |at| at + 2).min(among.len() - 1);
        let (before, this) = (&among[..last], among[last]);
        let pairs = before.iter().map(|one| vec![*one, this]);
        let without = |left_out: &usize| {
            let others = before.iter().filter(|one| *one != left_out).copied();
            others.chain([this]).collect::<Vec<usize>>()
        };
        let answers = self.each(pairs.chain(before.iter().map(without)).collect())?;
        let (pairs, without) = answers.split_at(before.len());
        let chosen = |is_one: &dyn Fn(usize) -> bool| -> Vec<usize> {
            (0..before.len()).filter(|at| is_one(*at)).map(|at| before[at]).collect()
        };
        let partners =
            [chosen(&|at| pairs[at]), chosen(&|at| !without[at])].into_iter().find(|found| !found.is_empty());
        let mut group = partners.unwrap_or_else(|| before.to_vec());
        group.push(this);
        Some(group)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::groups;

    /// The groups that are found where these sets, and all that hold them, are faulty.
    fn found(count: usize, faults: &[&[usize]]) -> Vec<Vec<usize>> {
        let faulty = |chosen: &[usize]| faults.iter().any(|fault| fault.iter().all(|one| chosen.contains(one)));
        groups(count, |chosen| Some(faulty(chosen))).unwrap()
    }

    #[test]
    fn those_that_are_faulty_alone_are_found() {
        assert_eq!(found(1, &[&[0]]), [[0]]);
        assert_eq!(found(5, &[&[3]]), [[3]]);
        assert_eq!(found(5, &[&[1], &[4]]), [[1], [4]]);
        assert_eq!(found(2, &[&[0], &[1]]), [[0], [1]]);
    }

    #[test]
    fn those_that_are_faulty_together_are_found() {
        assert_eq!(found(2, &[&[0, 1]]), [[0, 1]]);
        assert_eq!(found(6, &[&[1, 4]]), [[1, 4]]);
        assert_eq!(found(6, &[&[0, 2, 5]]), [[0, 2, 5]]);
        assert_eq!(found(4, &[&[0, 3], &[2, 3]]), [[0, 2, 3]]);
        assert_eq!(found(6, &[&[2], &[0, 5]]), [vec![2], vec![0, 5]]);
    }

    #[test]
    fn what_only_the_others_make_possible_is_not_to_blame() {
        // Number 0 needs number 1; number 2 can never be done.
        let faulty = |chosen: &[usize]| chosen.contains(&2) || (chosen.contains(&0) && !chosen.contains(&1));
        assert_eq!(groups(3, |chosen| Some(faulty(chosen))).unwrap(), [[2]]);
        // Number 0 needs number 1, which number 2 excludes.
        let faulty = |chosen: &[usize]| {
            (chosen.contains(&0) && !chosen.contains(&1)) || (chosen.contains(&1) && chosen.contains(&2))
        };
        assert_eq!(groups(3, |chosen| Some(faulty(chosen))).unwrap(), [[1, 2]]);
    }

    #[test]
    fn open_questions_are_put_together() {
        let mut asked = Vec::new();
        let open = groups(3, |chosen| {
            asked.push(chosen.to_vec());
            None
        });
        assert_eq!(open, None);
        assert_eq!(asked, [[0], [1], [2]]);
    }
}
