//! The scripts of `completions`, each in its own shell: a line that was begun
//! is gone on with as at a prompt. In a lab host, where all three shells are.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use crate::support::project::ran;
use crate::support::{TestLab, on_host, program};

/// A line, and a word that must be offered for its end.
const LINES: [(&str, &str); 4] = [
    ("stockade compl", "completions"),
    ("stockade token rev", "revoke"),
    ("stockade plan --detailed-e", "--detailed-exitcode"),
    ("stockade apply --format ma", "markdown"),
];

/// As bash-completion calls the function of a command.
const BASH: &str = r#"source /srv/stockade.bash
function=$(complete -p stockade | sed 's/.*-F \([^ ]*\) .*/\1/')
while IFS= read -r COMP_LINE; do
  read -r -a COMP_WORDS <<<"$COMP_LINE"
  COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_POINT=${#COMP_LINE} COMPREPLY=()
  "$function" stockade "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
  echo "$COMP_LINE: ${COMPREPLY[*]}"
done </srv/lines"#;

/// zsh completes at a terminal only: one of its own, at which the tab is pressed.
const ZSH: &str = r#"zmodload zsh/zpty
zpty shell zsh -f -i
zpty -w shell 'PROMPT=; unsetopt zle_bracketed_paste; fpath=(/srv/zsh $fpath); autoload -U compinit; compinit -u -D; echo re""ady'
zpty -r -m shell said '*ready*' || exit 1
while IFS= read -r line; do
  zpty -w -n shell "$line"$'\t'
  zpty -w -n shell $'\C-a: \C-e ;echo do""ne\n'
  zpty -r -m shell said '*done*' || exit 1
  print -r -- "$line: ${said//[^[:print:]]/ }"
done </srv/lines
zpty -d shell"#;

const FISH: &str = r#"source /srv/stockade.fish
while read -l line
  echo "$line: "(complete -C "$line" | string split -f 1 \t | string join ' ')
end </srv/lines"#;

#[test]
#[ignore = "starts lab hosts: tests/run.sh runs it"]
fn each_shell_completes_commands_options_and_values() {
    let (lab, hosts) = TestLab::with_hosts(1);
    let host = &hosts[0];
    on_host(
        host,
        "apt-get -qq update; mkdir -p /srv/zsh
         DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends bash fish zsh >/dev/null",
    );
    let put = |path: &str, text: &str| {
        let put = host.exec_with_input(&["sh", "-c", &format!("cat >{path}")], text.as_bytes()).unwrap();
        assert!(put.status.success(), "{path}");
    };
    let lines: String = LINES.iter().map(|(line, _)| format!("{line}\n")).collect();
    put("/srv/lines", &lines);
    for (shell, file, test) in
        [("bash", "stockade.bash", BASH), ("zsh", "zsh/_stockade", ZSH), ("fish", "stockade.fish", FISH)]
    {
        let script = ran(program(lab.dir.path()).args(["completions", shell]));
        assert_eq!(script.code, 0, "{script:?}");
        put(&format!("/srv/{file}"), &script.out);
        put("/srv/test", test);
        let said = on_host(host, &format!("TERM=dumb timeout 300 {shell} /srv/test </dev/null"));
        for (line, word) in LINES {
            let offered = said.lines().find_map(|said| said.strip_prefix(&format!("{line}: ")));
            assert!(offered.is_some_and(|offered| offered.contains(word)), "{shell}: {line}: {said}");
        }
    }
}
