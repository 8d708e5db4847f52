//! Queries: see `request::judge` for what must hold of what is sent instead.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stockade_fuzz::{Bytes, request};
use stockade_gateway::policy::routes::{Class, ROUTES, Route};

fn escaped(text: &[u8]) -> String {
    text.iter().map(|byte| format!("%{byte:02x}")).collect()
}

fuzz_target!(|data: &[u8]| {
    let mut bytes = Bytes(data);
    let who = &request::people()[usize::from(bytes.byte() % 2)];
    let lines: Vec<&Route> =
        ROUTES.iter().filter(|route| !route.query.is_empty() && route.class != Class::Never).collect();
    let route = bytes.of(&lines);
    let mut target =
        format!("/v1.47{}?", route.path.replace("{id}", "web").replace("{name}", "data").replace("{name*}", "alpine"));
    let raw = bytes.byte() % 2 == 0;
    if raw {
        target.push_str(&String::from_utf8_lossy(bytes.0));
    }
    while !raw && !bytes.is_empty() {
        let key = if bytes.byte() % 8 == 0 { "dummy" } else { bytes.of(route.query).0 };
        let values = [
            "",
            "0",
            "1",
            "true",
            "-1",
            "01",
            "99999999999999999999",
            "web",
            "theirs",
            "alpine",
            "team/x",
            "rival/x",
            "latest",
            "{\"label\":[\"io.stockade.tenant=rival\"]}",
            "{\"label\":{\"a\":false}}",
            "{\"name\":[\"web\"],\"Label\":[\"x\"]}",
            "{\"container\":[\"theirs\"],\"network\":[\"web\"],\"volume\":[\"/x\",\"data\"]}",
            "{}",
            "[]",
            "null",
            "host",
            "default",
            "-ef",
            "/etc",
        ];
        let value = match bytes.byte() % 4 {
            0 => String::from_utf8_lossy(bytes.some(16)).into_owned(),
            1 => escaped(bytes.some(16)),
            2 => escaped(bytes.of(&values).as_bytes()),
            _ => bytes.of(&values).to_owned(),
        };
        target.push_str(&format!("{key}={value}&"));
    }
    request::judge(route.method, &target, who);
});
