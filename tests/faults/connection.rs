//! The connection cut at chosen bytes, and the controller killed at chosen
//! points of a run.

use super::Fault;
use super::runner::{is_certain, is_of_the_upload};
use super::seed::Seed;
use super::site::{Call, Normal, Site, ended};
use crate::support::relay::{Cut, Way};

/// How many cuts of the first connection and of the one that confirms, each way.
const CUTS: [[usize; 2]; 2] = [[15, 10], [6, 6]];
/// How many calls of the runner, and of the session that brings a run, a controller is killed at.
const KILLS: [usize; 2] = [24, 6];

pub fn faults(normal: &Normal, seed: &mut Seed) -> Vec<Fault> {
    let mut all = Vec::new();
    for (number, counts) in CUTS.iter().enumerate() {
        for (way, count) in [Way::ToHost, Way::FromHost].into_iter().zip(counts) {
            for point in 0..*count {
                let to = ["new", "old"][point % 2];
                let total = normal.bytes[to][number][usize::from(way == Way::FromHost)];
                let after = match point {
                    // The last bytes of all.
                    0..4 => total - [1, 2, 40, 400][point],
                    // One in each part of the stream.
                    _ => total * (point - 4) / (count - 4) + seed.below(total / (count - 4)),
                };
                all.push(cut(to, Cut { connection: number, way, after, silent: false }, total));
            }
        }
    }
    // Lost without a word to either end: in the upload, in the run, and as a guard is confirmed.
    for (connection, way, part) in [(0, Way::ToHost, 2), (0, Way::FromHost, 2), (1, Way::FromHost, 3)] {
        let total = normal.bytes["new"][connection][usize::from(way == Way::FromHost)];
        all.push(cut("new", Cut { connection, way, after: total - total / part, silent: true }, total));
    }
    let runner = normal.calls_in("runner", is_certain);
    let session = normal.calls_in("session", is_of_the_upload);
    for (points, count) in [runner, session].into_iter().zip(KILLS) {
        for (number, (to, call)) in seed.some(points, count).into_iter().enumerate() {
            all.push(kill(to, call, number));
        }
    }
    all
}

fn cut(to: &'static str, cut: Cut, total: usize) -> Fault {
    let how = if cut.silent { "silently " } else { "" };
    let name =
        format!("{how}connection {} {:?}, after {} of {total} bytes, to {to}", cut.connection, cut.way, cut.after);
    let inject = move |site: &mut Site| {
        site.relay.cut(Some(cut));
        let ran = site.apply(&[]);
        // Two runs never have the same bytes: the last ones may not come.
        if !site.relay.has_cut() && cut.after + 2000 < total {
            return Err(format!("the fault did not happen: {ran:?}"));
        }
        if ran.code != 0 && ran.err.contains("applying") {
            return Err(format!("the run was begun, but not followed to its end: {ran:?}"));
        }
        site.survives(&ran)
    };
    Fault { class: "the connection is cut", name, to: Some(to), inject: Box::new(inject) }
}

fn kill(to: &'static str, call: Call, number: usize) -> Fault {
    let waits = number.is_multiple_of(2);
    let then = if waits { "the run ends alone" } else { "the next controller comes at once" };
    let name = format!("at the {}'s call {} of {:?}, to {to}; {then}", call.place, call.nth, call.pattern);
    let inject = move |site: &mut Site| {
        site.arm(&call, "pause");
        let mut controller = site.start_apply(&["--guard-timeout", crate::support::guard_seconds(8)]);
        site.await_pause(&mut controller)?;
        controller.kill().unwrap();
        let ran = ended(controller);
        site.go();
        if waits && call.place == "runner" {
            site.until("[ -e /var/lib/stockade/runs/*/result ]")?;
        }
        if number % 7 == 6 { site.is_taken_back(&ran) } else { site.survives(&ran) }
    };
    Fault { class: "the controller is killed", name, to: Some(to), inject: Box::new(inject) }
}
