//! `stockade keygen`, judged by OpenSSH's own ssh-keygen.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a test that cannot be set up must stop

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PASSPHRASE: &str = "correct horse \"battery\" $staple ü";

struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Desk {
        let desk = Desk(tempfile::tempdir().unwrap());
        fs::write(desk.path("phrase"), format!("{PASSPHRASE}\nnot this line\n")).unwrap();
        fs::set_permissions(desk.path("phrase"), fs::Permissions::from_mode(0o600)).unwrap();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn keygen(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stockade"));
        command.current_dir(self.0.path()).arg("keygen").args(arguments).stdin(std::process::Stdio::null());
        command.output().unwrap()
    }

    /// Makes a pair that must succeed; what was printed.
    fn made(&self, arguments: &[&str]) -> String {
        let output = self.keygen(arguments);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail as wrong input; what it said.
    fn refused(&self, arguments: &[&str]) -> String {
        let output = self.keygen(arguments);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.0.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// What ssh-keygen derives from a private key; none if it cannot.
fn derived(private: &Path, passphrase: &str) -> Option<String> {
    let output = Command::new("ssh-keygen").args(["-y", "-P", passphrase, "-f"]).arg(private).output().unwrap();
    output.status.success().then(|| String::from_utf8(output.stdout).unwrap())
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

/// The rounds that stand in the file itself (OpenSSH PROTOCOL.key: magic,
/// cipher, name of the derivation, its options: salt and rounds).
fn rounds(private: &Path) -> (String, u32) {
    use base64::Engine as _;
    let text = fs::read_to_string(private).unwrap();
    let body: String = text.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = base64::engine::general_purpose::STANDARD.decode(body).unwrap();
    let mut rest = bytes.strip_prefix(b"openssh-key-v1\0").unwrap();
    let mut field = || {
        let (length, after) = rest.split_at(4);
        let (field, after) = after.split_at(u32::from_be_bytes(length.try_into().unwrap()) as usize);
        rest = after;
        field.to_vec()
    };
    let (cipher, derivation, options) = (field(), field(), field());
    assert_eq!(derivation, b"bcrypt");
    let rounds = u32::from_be_bytes(options[options.len() - 4..].try_into().unwrap());
    (String::from_utf8(cipher).unwrap(), rounds)
}

#[test]
fn an_ed25519_pair_is_one_to_openssh_and_opens_only_with_its_passphrase() {
    let desk = Desk::new();
    let said = desk.made(&["id", "--passphrase-file", "phrase", "--comment", "jane at home"]);
    let public = fs::read_to_string(desk.path("id.pub")).unwrap();
    assert!(public.starts_with("ssh-ed25519 ") && public.ends_with(" jane at home\n"), "{public}");
    assert_eq!(derived(&desk.path("id"), PASSPHRASE).as_deref(), Some(public.as_str()));
    assert_eq!(derived(&desk.path("id"), "wrong"), None);
    assert_eq!(derived(&desk.path("id"), ""), None);
    assert_eq!((mode(&desk.path("id")), mode(&desk.path("id.pub"))), (0o600, 0o644));
    assert_eq!(rounds(&desk.path("id")), ("aes256-ctr".to_owned(), 100));
    let listed = Command::new("ssh-keygen").arg("-lf").arg(desk.path("id.pub")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let fingerprint = listed.split(' ').nth(1).unwrap();
    assert!(said.contains(fingerprint), "{said} lacks {fingerprint}");
    assert!(!said.contains("horse"));
}

/// Types answers at a terminal of script(1)'s, each after its question.
fn typed(desk: &Desk, answers: &[(&str, &str)]) -> (bool, String) {
    use std::io::{Read, Write};
    let line = format!("'{}' keygen id", env!("CARGO_BIN_EXE_stockade"));
    let mut child = Command::new("script")
        .current_dir(desk.0.path())
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("script(1) of util-linux is needed");
    let (mut keyboard, mut screen) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let (mut shown, mut buffer) = (String::new(), [0; 512]);
    let mut answers = answers.iter().peekable();
    loop {
        if let Some((_, answer)) = answers.next_if(|(question, _)| shown.contains(question)) {
            writeln!(keyboard, "{answer}").unwrap();
        }
        match screen.read(&mut buffer).unwrap() {
            0 => break,
            length => shown.push_str(&String::from_utf8_lossy(&buffer[..length])),
        }
    }
    (child.wait().unwrap().success(), shown)
}

#[test]
fn at_a_terminal_the_passphrase_is_asked_twice() {
    let desk = Desk::new();
    let (done, shown) = typed(&desk, &[("Passphrase for the new key id: ", "four words"), ("again: ", "four word")]);
    assert!(!done && shown.contains("differ"), "{shown}");
    assert_eq!(desk.names(), ["phrase"]);
    let (done, shown) = typed(&desk, &[("Passphrase for the new key id: ", "four words"), ("again: ", "four words")]);
    assert!(done, "{shown}");
    let public = fs::read_to_string(desk.path("id.pub")).unwrap();
    assert_eq!(derived(&desk.path("id"), "four words").as_deref(), Some(public.as_str()));
}

#[test]
fn an_rsa_pair_has_4096_bits_and_as_many_rounds_as_asked_for() {
    let desk = Desk::new();
    desk.made(&["id", "--type", "rsa", "--passphrase-file", "phrase", "--rounds", "120"]);
    let public = fs::read_to_string(desk.path("id.pub")).unwrap();
    assert_eq!(derived(&desk.path("id"), PASSPHRASE).as_deref(), Some(public.as_str()));
    assert_eq!(rounds(&desk.path("id")), ("aes256-ctr".to_owned(), 120));
    let listed = Command::new("ssh-keygen").arg("-lf").arg(desk.path("id.pub")).output().unwrap();
    assert!(listed.stdout.starts_with(b"4096 SHA256:"), "{listed:?}");
}

#[test]
fn an_unencrypted_key_is_made_only_in_so_many_words() {
    let desk = Desk::new();
    assert!(desk.refused(&["id"]).contains("--no-passphrase"));
    assert_eq!(desk.names(), ["phrase"]);
    let output = desk.keygen(&["id", "--no-passphrase"]);
    assert!(output.status.success());
    assert!(String::from_utf8(output.stderr).unwrap().contains("not encrypted"));
    let public = fs::read_to_string(desk.path("id.pub")).unwrap();
    assert_eq!(derived(&desk.path("id"), "").as_deref(), Some(public.as_str()));
    assert!(public.ends_with(" id\n"));
}

#[test]
fn files_that_are_there_are_never_overwritten() {
    let desk = Desk::new();
    for taken in ["id", "id.pub"] {
        fs::write(desk.path(taken), "mine").unwrap();
        let said = desk.refused(&["id", "--no-passphrase"]);
        assert!(said.contains(&format!("{taken} is there already")), "{said}");
        assert_eq!(desk.names(), [taken, "phrase"]);
        assert_eq!(fs::read_to_string(desk.path(taken)).unwrap(), "mine");
        fs::remove_file(desk.path(taken)).unwrap();
    }
    std::os::unix::fs::symlink("elsewhere", desk.path("id")).unwrap();
    assert!(desk.refused(&["id", "--no-passphrase"]).contains("is there already"));
    assert_eq!(desk.names(), ["id", "phrase"]);
}

#[test]
fn wrong_arguments_leave_nothing_behind() {
    let desk = Desk::new();
    fs::write(desk.path("empty"), "\n").unwrap();
    assert!(desk.refused(&["id", "--passphrase-file", "empty"]).contains("is empty"));
    assert!(desk.refused(&["id", "--passphrase-file", "nope"]).contains("nope cannot be read"));
    assert!(desk.refused(&["no/such/folder/id", "--no-passphrase"]).contains("cannot be made"));
    assert!(desk.refused(&["..", "--no-passphrase"]).contains("not the name of a file"));
    assert!(desk.refused(&["id", "--no-passphrase", "--comment", "a\nssh-rsa AAAA"]).contains("one line"));
    for arguments in
        [&["id", "--no-passphrase", "--rounds", "99"][..], &["id", "--no-passphrase", "--passphrase-file", "phrase"]]
    {
        assert!(!desk.keygen(arguments).status.success());
    }
    assert_eq!(desk.names(), ["empty", "phrase"]);
}
