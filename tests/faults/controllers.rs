//! Two controllers that want the same host at once.

use super::runner::{is_certain, is_of_the_upload};
use super::seed::Seed;
use super::site::{Normal, Site, ended};
use super::{Fault, fault, runner};

pub fn faults(normal: &Normal, seed: &mut Seed) -> Vec<Fault> {
    let class = "two controllers at once";
    let mut all = Vec::new();
    let points = normal.calls_in("runner", |call| is_certain(call) && !call.starts_with("flock"));
    // What follows the lock: before it nobody is at work.
    for (to, call) in seed.some(points, 8) {
        let name = format!("the second comes at call {} of {:?}, to {to}", call.nth, call.pattern);
        let inject = move |site: &mut Site| {
            site.arm(&call, "pause");
            let mut first = site.start_apply(&[]);
            site.await_pause(&mut first)?;
            let second = site.apply(&[]);
            site.go();
            let first = ended(first);
            if first.code != 0 {
                return Err(format!("the first is disturbed: {first:?}\nby {second:?}"));
            }
            if second.code == 0 && !second.err.contains("nothing differs") || ![0, 3].contains(&second.code) {
                return Err(format!("the second is not refused: {second:?}"));
            }
            site.survives(&first)
        };
        all.push(Fault { class, name, to: Some(to), inject: Box::new(inject) });
    }
    let session = normal.calls_in("session", is_of_the_upload);
    for (to, call) in seed.some(session, 5) {
        let name =
            format!("the second runs while the first stands at call {} of {:?}, to {to}", call.nth, call.pattern);
        let inject = move |site: &mut Site| {
            site.arm(&call, "pause");
            let mut first = site.start_apply(&[]);
            site.await_pause(&mut first)?;
            let second = site.apply(&[]);
            site.go();
            let first = ended(first);
            if first.code != 0 && second.code != 0 {
                return Err(format!("none of them is done: {first:?}\n{second:?}"));
            }
            // The later of two keeps what the earlier one wrote, as it was in the file: the secret, too.
            site.on("rm -f /var/lib/stockade/runs/*/undo/before");
            site.survives(&first)
        };
        all.push(Fault { class, name, to: Some(to), inject: Box::new(inject) });
    }
    for number in 0..5 {
        all.push(fault(class, format!("both begin at the same time ({number})"), move |site| {
            let (first, second) = (site.start_apply(&[]), site.start_apply(&[]));
            let (first, second) = (ended(first), ended(second));
            if ![first.code, second.code].contains(&0) {
                return Err(format!("none of them is done: {first:?}\n{second:?}"));
            }
            site.on("rm -f /var/lib/stockade/runs/*/undo/before");
            site.survives(&first)
        }));
    }
    for pattern in ["usermod *", "sync -- */guard/1 *", "systemctl restart -- fault.service"] {
        all.push(fault(class, format!("both go on with a run that was killed at {pattern:?}"), move |site| {
            site.arm(&runner(pattern), "before");
            let ran = site.apply(&[]);
            if ran.code == 0 {
                return Err(format!("exit code 0: {ran:?}"));
            }
            let (first, second) = (site.start_apply(&["--resume"]), site.start_apply(&["--resume"]));
            let (first, second) = (ended(first), ended(second));
            if ![first.code, second.code].contains(&0) {
                return Err(format!("none of them is done: {first:?}\n{second:?}"));
            }
            site.on("rm -f /var/lib/stockade/runs/*/undo/before");
            site.survives(&ran)
        }));
    }
    all
}
