//! What is another's answers as what is not there: in status, in text, and in
//! time, which a classifier judges.
//!
//! `ORACLE_SAMPLES` says how many samples of each are taken (1000 to measure
//! accuracies worth stating); with few of them the bound is wider.

use serde_json::{Value, json};

use super::parties::{Party, Site, Told, encoded, judged, site};
use crate::process::engine::{ask, image};

/// A question, by a reference: method, target and body, in which NAME stands for it.
struct Question {
    what: String,
    method: &'static str,
    target: String,
    body: String,
    others: String,
    missing: String,
}

/// Another of the same form: each hexadecimal digit but those of a prefix is turned.
fn turned(text: &str) -> String {
    let start = if text.starts_with("sha256:") { 7 } else { 0 };
    let digit = |c: char| c.to_digit(16).and_then(|digit| char::from_digit(15 - digit, 16)).unwrap_or(c);
    text.chars().enumerate().map(|(at, c)| if at < start { c } else { digit(c) }).collect()
}

fn questions(site: &Site) -> Vec<Question> {
    let made = |told: Told| -> String {
        let value: Value = serde_json::from_str(&told.text).unwrap();
        value["Id"].as_str().unwrap_or_default().to_owned()
    };
    let body = json!({ "Image": image(), "Cmd": ["/bin/sleep", "600"] });
    for party in [&site.victim, &site.thief] {
        let at = |target: &str| target.replace("NAME", &party.name);
        assert_eq!(site.post(party, "/volumes/create", &json!({ "Name": at("volNAME") })).status, 201);
        assert_eq!(site.post(party, "/networks/create", &json!({ "Name": at("netNAME") })).status, 201);
    }
    site.post(&site.thief, "/containers/create?name=own", &body);
    let container = made(site.post(&site.victim, "/containers/create?name=web", &body));
    site.post(&site.victim, &format!("/containers/{container}/start"), &Value::Null);
    let exec =
        made(site.post(&site.victim, &format!("/containers/{container}/exec"), &json!({ "Cmd": ["/bin/true"] })));
    let victim = &site.victim.name;
    let network =
        ask("GET", &format!("/networks/{victim}__net{victim}"), &Value::Null).1["Id"].as_str().unwrap().to_owned();
    let layers = site.victims_image();
    let (image_id, layer) = (layers[0].clone(), layers[layers.len() / 2].clone());

    let mut all = Vec::new();
    let mut add = |what: &str, (method, target, body): (&'static str, &str, &str), others: &str, missing: &str| {
        let (target, body) = (target.to_owned(), body.replace("BASE", &image()));
        let (others, missing) = (others.to_owned(), missing.to_owned());
        all.push(Question { what: format!("{what}: {method} {target} {body}"), method, target, body, others, missing });
    };
    let name = format!("{victim}__web");
    let gone = format!("{victim}__wex");
    for (form, others, missing) in [
        ("name", name.as_str(), gone.as_str()),
        ("id", &container, &turned(&container)),
        ("short id", &container[..12], &turned(&container[..12])),
        ("prefix", &container[..3], &turned(&container[..3])),
    ] {
        for call in [
            ("GET", "/containers/NAME/json", ""),
            ("POST", "/containers/NAME/start", ""),
            ("GET", "/containers/NAME/logs?stdout=1", ""),
            ("POST", "/containers/NAME/exec", r#"{"Cmd":["/bin/true"]}"#),
        ] {
            add(&format!("container by {form}"), call, others, missing);
        }
    }
    add("exec", ("GET", "/exec/NAME/json", ""), &exec, &turned(&exec));
    add("exec", ("POST", "/exec/NAME/start", r#"{"Detach":true}"#), &exec, &turned(&exec));
    add("network by id", ("GET", "/networks/NAME", ""), &network, &turned(&network));
    add("network by short id", ("DELETE", "/networks/NAME", ""), &network[..12], &turned(&network[..12]));
    let (net, vol) = (format!("{victim}__net{victim}"), format!("{victim}__vol{victim}"));
    add("network by name", ("GET", "/networks/NAME", ""), &net, &net.replace("__net", "__nex"));
    add("volume", ("GET", "/volumes/NAME", ""), &vol, &vol.replace("__vol", "__vox"));
    add("volume", ("DELETE", "/volumes/NAME", ""), &vol, &vol.replace("__vol", "__vox"));
    let (tag, no_tag) = (format!("{victim}/app:1"), format!("{victim}/apx:1"));
    for (form, others, missing) in [
        ("tag", tag.as_str(), no_tag.as_str()),
        ("id", &image_id, &turned(&image_id)),
        ("short id", &image_id[7..19], &turned(&image_id[7..19])),
        ("a layer's id", &layer, &turned(&layer)),
    ] {
        for call in [
            ("GET", "/images/NAME/json", ""),
            ("GET", "/images/NAME/history", ""),
            ("DELETE", "/images/NAME", ""),
            ("GET", "/images/json?filters={\"before\":[\"NAME\"]}", ""),
            ("GET", "/images/json?filters={\"since\":[\"NAME\"]}", ""),
            ("GET", "/containers/json?all=1&filters={\"ancestor\":[\"NAME\"]}", ""),
            ("POST", "/containers/create", r#"{"Image":"NAME"}"#),
        ] {
            add(&format!("image by {form}"), call, others, missing);
        }
    }
    add("pull", ("POST", "/images/create?fromImage=NAME", ""), &tag, &no_tag);
    for (what, key, others, missing) in [
        ("filter", "before", &container, turned(&container)),
        ("filter", "since", &name, gone.clone()),
        ("filter", "volume", &vol, vol.replace("__vol", "__vox")),
        ("filter", "network", &network, turned(&network)),
    ] {
        let target = format!("/containers/json?all=1&filters={{\"{key}\":[\"NAME\"]}}");
        add(what, ("GET", &target, ""), others, &missing);
    }
    for (what, host) in [
        ("create in a network", r#"{"NetworkMode":"NAME"}"#),
        ("create in a namespace", r#"{"NetworkMode":"container:NAME"}"#),
        ("create with volumes", r#"{"VolumesFrom":["NAME"]}"#),
    ] {
        let body = format!(r#"{{"Image":"BASE","HostConfig":{host}}}"#);
        let (others, missing) = match what {
            "create in a network" => (network.clone(), turned(&network)),
            _ => (container.clone(), turned(&container)),
        };
        add(what, ("POST", "/containers/create", &body), &others, &missing);
    }
    all
}

impl Question {
    fn ask(&self, site: &Site, party: &Party, name: &str) -> Told {
        let target = self.target.replace("NAME", name);
        let target = match target.split_once("filters=") {
            Some((before, filters)) => format!("{before}filters={}", encoded(filters)),
            None => target,
        };
        site.send(party, self.method, &target, "application/json", self.body.replace("NAME", name).as_bytes())
    }

    /// The answer's status and text, in which the reference does not show.
    fn told(&self, site: &Site, name: &str) -> (u16, String) {
        let told = self.ask(site, &site.thief, name);
        let bare = name.split(':').next().unwrap_or(name);
        (told.status, told.text.replace(name, "NAME").replace(bare, "NAME"))
    }
}

/// How well one threshold, the best on the first half, tells the other halves apart.
fn accuracy(others: &[f64], missing: &[f64]) -> f64 {
    let half = |times: &[f64], odd: usize| -> Vec<f64> { times.iter().skip(odd).step_by(2).copied().collect() };
    let right = |threshold: f64, low: &[f64], high: &[f64]| {
        let right = low.iter().filter(|time| **time <= threshold).count()
            + high.iter().filter(|time| **time > threshold).count();
        right as f64 / (low.len() + high.len()) as f64
    };
    let (a, b) = (half(others, 0), half(missing, 0));
    let (mut best, mut choice) = (0.0, (0.0, true));
    for threshold in a.iter().chain(&b).copied() {
        let share = right(threshold, &a, &b);
        for (share, lower) in [(share, true), (1.0 - share, false)] {
            if share > best {
                (best, choice) = (share, (threshold, lower));
            }
        }
    }
    let (a, b) = (half(others, 1), half(missing, 1));
    let share = right(choice.0, &a, &b);
    if choice.1 { share } else { 1.0 - share }
}

#[test]
#[ignore = "needs a Docker engine: tests/run.sh runs it"]
fn what_is_anothers_answers_as_what_is_not_there() {
    let site = site("oracle");
    let samples: usize = std::env::var("ORACLE_SAMPLES").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    // Five points, and what chance adds to so few samples: five standard deviations.
    let bound = 0.55 + 5.0 * 0.5 / (samples as f64).sqrt() * f64::from(u8::from(samples < 1000));
    let only = std::env::var("BYPASS_ONLY").unwrap_or_default();
    let (mut tried, mut through) = (0, Vec::new());
    for question in questions(&site).iter().filter(|question| question.what.contains(&only)) {
        tried += 1;
        let (others, missing) = (question.told(&site, &question.others), question.told(&site, &question.missing));
        if others != missing {
            through.push(format!("{}: {others:?}, and of what is not there {missing:?}", question.what));
            continue;
        }
        // A registry answers a pull, in its own time.
        if question.what.starts_with("pull") {
            continue;
        }
        let mut worst = Vec::new();
        // A busy machine may slow one side down by chance, but not each time.
        for _ in 0..3 {
            let (mut a, mut b) = (Vec::new(), Vec::new());
            for at in 0..samples {
                let take = |name: &str| question.ask(&site, &site.thief, name).time.as_secs_f64();
                if at % 4 < 2 {
                    a.push(take(&question.others));
                    b.push(take(&question.missing));
                } else {
                    b.push(take(&question.missing));
                    a.push(take(&question.others));
                }
            }
            worst.push(accuracy(&a, &b));
            if worst.last().is_some_and(|accuracy| *accuracy <= bound) {
                break;
            }
        }
        let last = *worst.last().unwrap();
        println!("oracle: {last:.3} of {samples}: {}", question.what);
        if last > bound {
            through.push(format!("{}: told apart by time, {worst:?}", question.what));
        }
    }
    judged("oracles", tried, &through);
}

#[test]
fn the_classifier_tells_apart_what_differs() {
    let slow: Vec<f64> = (0..100).map(|at| 2.0 + f64::from(at % 7)).collect();
    let fast: Vec<f64> = (0..100).map(|at| f64::from(at % 7)).collect();
    assert!(accuracy(&slow, &fast) > 0.6);
    assert!(accuracy(&fast, &slow) > 0.6);
    assert!(accuracy(&fast, &fast) < 0.55);
}
