//! Paths: see `request::judge` for what must hold of what is sent instead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_fuzz::{Bytes, request};
use stockade_gateway::policy::routes::ROUTES;

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let who = &request::people()[usize::from(bytes.byte() % 2)];
    let method = bytes.of(&["GET", "POST", "PUT", "DELETE", "HEAD", "PATCH", "get"]);
    if bytes.byte() % 2 == 0 {
        if let Ok(target) = std::str::from_utf8(bytes.0) {
            request::judge(method, target, who);
        }
        return;
    }
    // A line of the table with doubtful things in the place of its names.
    let route = &ROUTES[(usize::from(bytes.byte()) << 8 | usize::from(bytes.byte())) % ROUTES.len()];
    let method = if bytes.byte() % 8 == 0 { method } else { route.method };
    let mut target =
        bytes.of(&["/v1.47", "/v1.41", "", "/v1.56", "/v1.40", "/v1.57", "/V1.47", "/v1.047", "/v1.47/"]).to_owned();
    for part in route.path.split('/').skip(1) {
        target.push('/');
        if !part.starts_with('{') {
            target.push_str(part);
            continue;
        }
        let names = [
            "web",
            "theirs",
            "nobodys",
            "team__web",
            "aaaaaaaaaaaa",
            "alpine",
            "docker.io/team/x:1",
            "rival/x",
            "a@sha256:0",
            "..",
            ".",
            "",
            "%2e%2e",
            "%2F",
            "x/json",
            "json",
            "create",
            "get",
            "prune",
        ];
        match bytes.byte() % 4 {
            0 => target.push_str(&String::from_utf8_lossy(bytes.some(12))),
            _ => target.push_str(bytes.of(&names)),
        }
    }
    target.push_str(&String::from_utf8_lossy(bytes.0));
    request::judge(method, &target, who);
});
