//! Playbooks: whatever is written, there is an answer; errors tell a place that
//! is in the text; and what is read is rendered to the same steps every time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::OnceLock;
use stockade::playbook::{self, HostScope, Step};
use stockade::resource::KINDS;
use stockade::values::Diagnostic;

fn place() -> &'static PathBuf {
    static PLACE: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let (_, file) = PLACE.get_or_init(|| {
        let memory = std::path::Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.expect("a folder");
        let file = dir.path().join("playbook.toml");
        (dir, file)
    });
    file
}

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    // Files of this machine, which may never end, and loops without end are the operator's own business.
    if ["/dev", "/proc", "/sys", "..", "range", "use", "repeat"].iter().any(|word| text.contains(word))
        && !text.contains("use = \"users\"")
    {
        return;
    }
    std::fs::write(place(), text).expect("a file");
    let kinds: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    let playbook = match playbook::load(place(), &kinds) {
        Ok(playbook) => playbook,
        Err(errors) => return sensible(&errors),
    };
    let scope = HostScope { host: "web1".into(), address: "192.0.2.1".into(), ..HostScope::default() };
    match (playbook.render(&scope), playbook.render(&scope)) {
        (Ok(one), Ok(other)) => {
            let told = |steps: &[Step]| {
                steps.iter().map(|step| (step.id.clone(), step.kind.clone(), step.table.to_json())).collect::<Vec<_>>()
            };
            assert_eq!(told(&one), told(&other), "rendered differently");
            assert!(one.iter().all(|step| kinds.contains(&step.kind.as_str())), "a step of no kind");
        }
        (Err(one), Err(other)) => {
            sensible(&one);
            assert_eq!(one, other, "refused differently");
        }
        (one, other) => panic!("once {}, once {}", one.is_ok(), other.is_ok()),
    }
});

fn sensible(errors: &[Diagnostic]) {
    assert!(!errors.is_empty(), "refused without a reason");
    for error in errors {
        assert!(!error.message.is_empty() && !error.to_string().is_empty());
        let Some(span) = &error.span else { continue };
        assert!(span.range.start <= span.range.end, "{error}");
        assert!(span.source.text.get(span.range.clone()).is_some(), "outside of the text: {error}");
    }
}
