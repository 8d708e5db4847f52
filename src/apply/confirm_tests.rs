//! Tests of `confirm`.

use super::{Met, gap, patience, port_to_use};
use std::time::{Duration, Instant};

#[test]
fn what_the_attempts_have_met_is_told_with_how_often_and_how_long() {
    let began = Instant::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    let mut met = Met::new(began);
    assert_eq!(met.told(at(1)), None);
    met.add("web1: connection refused".into(), at(1));
    assert_eq!(met.told(at(1)).unwrap(), "web1: connection refused", "one attempt says it all");
    met.add("web1: connection refused".into(), at(9));
    met.add("web1: connection refused".into(), at(25));
    met.add("web1: authentication failed".into(), at(33));
    let told = "4 attempts in 34 s: web1: connection refused (3 times until 25 s); \
                    then web1: authentication failed (once, after 33 s)";
    assert_eq!(met.told(at(34)).unwrap(), told);
}

#[test]
fn an_attempt_without_an_answer_leaves_time_for_another() {
    for (left, most) in [(58, 29), (28, 14), (15, 10), (8, 8), (0, 1)] {
        assert_eq!(patience(Duration::from_secs(left)), Duration::from_secs(most), "{left}");
    }
}

/// Lets in at most five connections within 30 s, those that it refuses counted, as ufw's limit does.
fn let_in(before: &[f64], attempts: impl Iterator<Item = f64>) -> Option<f64> {
    let mut seen = before.to_vec();
    for at in attempts {
        seen.push(at);
        if seen.iter().filter(|one| at - **one < 30.0).count() < 6 {
            return Some(at);
        }
    }
    None
}

#[test]
fn attempts_are_so_far_apart_that_a_limit_of_new_connections_lets_one_in() {
    for pace in [None, Some(Duration::from_secs(8))] {
        let (mut now, mut tries) = (0.0, 0);
        let attempts = std::iter::from_fn(|| {
            let at = now;
            let left = Duration::from_secs_f64((58.0_f64 - at).max(0.0));
            now += gap(tries, pace, left).as_secs_f64();
            tries += 1;
            (!left.is_zero()).then_some(at)
        });
        let full = [-5.0, -4.0, -3.0, -2.0, -1.0];
        let at = let_in(&full, attempts);
        assert!(at.is_some_and(|at| at < 45.0), "{pace:?}: {at:?}");
    }
    assert_eq!(gap(0, None, Duration::from_secs(58)), Duration::from_millis(300), "a daemon that is just starting");
    assert_eq!(gap(9, None, Duration::from_secs(3)), Duration::from_secs(1), "not past the end");
}

#[test]
fn the_port_that_is_dialled_follows_sshd_unless_it_is_forwarded() {
    for (dialled, before, after, wanted) in [
        (Some(22), vec![22], vec![22], None),
        (Some(22), vec![22], vec![2222], Some(2222)),
        (Some(22), vec![22], vec![22, 2222], None),
        (Some(2222), vec![22, 2222], vec![22], Some(22)),
        // 127.0.0.1:40022 is forwarded to port 22.
        (Some(40022), vec![22], vec![2222], None),
        (Some(22), vec![22], vec![], None),
        (None, vec![22], vec![2222], Some(2222)),
        (None, vec![22], vec![22, 2222], None),
    ] {
        assert_eq!(port_to_use(dialled, &before, &after), wanted, "{dialled:?} {before:?} {after:?}");
    }
}
