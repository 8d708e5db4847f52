//! The profile `harden/updates` on the host of `harden_host.rs`: what it sets, and
//! what keeps updates away.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a host that cannot be used must stop the test

use crate::harden_host::{audit, converge, etc, stands, undo};
use crate::support::project::Project;

/// What keeps updates away, beside what only looks like it.
const UPDATES: &str = r#"
cat >/etc/apt/apt.conf.d/zzz-bad <<'END'
APT::Periodic::Unattended-Upgrade "0";
unattended-upgrade::package-blacklist { ".*"; "linux-|openss"; "nowhere"; "ada"; };
Unattended-Upgrade::Package-Whitelist { "bash"; };
Unattended-Upgrade::InstallOnShutdown "true";
#clear Unattended-Upgrade::Origins-Pattern;
Unattended-Upgrade::Origins-Pattern { "origin=Debian,codename=sid-security,label=Debian-Security"; };
END
systemctl mask apt-daily-upgrade.service
cd /etc/apt/sources.list.d
printf 'Types: deb\nURIs: http://127.0.0.1/b\nSuites: ./\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n /mQINBFit\n =abcd\n -----END PGP PUBLIC KEY BLOCK-----\n' >inline.sources
printf 'Types: deb\nURIs: http://127.0.0.1/c\nSuites: ./\nSigned-By: /usr/share/keyrings/none.gpg\n' >gone.sources
printf 'Types: deb\nURIs: http://127.0.0.1/d\nSuites: ./\nTrusted: yes\nEnabled: no\n' >off.sources
echo key >/srv/open.gpg; chmod 666 /srv/open.gpg
echo 'deb [check-valid-until=no SIGNED-BY=/srv/open.gpg arch=amd64 Allow-Insecure=YES] http://127.0.0.1/e ./' >open.list
cp -a /srv/repository /srv/security
sed -i 's/^Origin:.*/Origin: Debian/; s/^Label:.*/Label: Debian-Security/; s/^Suite:.*/Suite: stable-security/; s/^Codename:.*/Codename: bookworm-security/' \
  /srv/security/dists/stable/Release
echo 'deb [trusted=yes] file:/srv/security stable main' >security.list
apt-get -qq -o APT::Get::List-Cleanup=0 -o Dir::Etc::sourcelist=sources.list.d/security.list -o Dir::Etc::sourceparts=- update
"#;

/// Updates: what is set, and what is reported.
pub fn updates(project: &Project) {
    let before = etc(project);
    stands(
        &audit(project, "harden/updates", &[]),
        &[
            ("U1", "fail", &["APT::Periodic::Unattended-Upgrade is not set"]),
            ("U2", "fail", &["no origin of security updates"]),
            ("U3", "pass", &[]),
            // The repository of this test is [trusted=yes].
            ("U4", "fail", &["/etc/apt/sources.list.d/local.list:1: takes packages without signature"]),
            ("U8", "pass", &[]),
        ],
    );
    converge(project, "harden/updates", "automatic_reboot = \"03:30\"");
    let set = project.on_host("apt-config dump | grep -e '^APT::Periodic::Un' -e Reboot-Time -e 'Pattern::'");
    for part in ["APT::Periodic::Unattended-Upgrade \"1\";", "Reboot-Time \"03:30\"", "${distro_codename}-security"] {
        assert!(set.contains(part), "{part}: {set}");
    }
    assert_eq!(
        project.on_host(
            "systemctl is-enabled apt-daily.timer apt-daily-upgrade.timer; systemctl is-active apt-daily-upgrade.timer"
        ),
        "enabled\nenabled\nactive"
    );
    project.on_host("apt-mark hold unattended-upgrades; touch /run/reboot-required; echo 'APT::Get::AllowUnauthenticated \"true\";' >/etc/apt/apt.conf.d/99bad; echo key >/etc/apt/trusted.gpg.d/bob.gpg");
    stands(
        &audit(project, "harden/updates", &["--var", "automatic_reboot=\"03:30\""]),
        &[
            ("U1", "pass", &[]),
            ("U2", "pass", &[]),
            ("U3", "fail", &["packages ask for a restart"]),
            ("U4", "fail", &["AllowUnauthenticated is true", "bob.gpg"]),
            ("U8", "fail", &["unattended-upgrades: is held"]),
        ],
    );
    project.on_host("apt-mark unhold unattended-upgrades; rm /run/reboot-required /etc/apt/apt.conf.d/99bad /etc/apt/trusted.gpg.d/bob.gpg");
    // Apt takes other words for true, names without regard to case, and values on a line of their own.
    project.on_host(
        "printf 'apt::get::allowunauthenticated \"on\";\\nACQUIRE::check-valid-until \"off\";\\napt::periodic::enable \"0\";\\n' >/etc/apt/apt.conf.d/zzz-bad; \
         echo 'deb [ arch=amd64 Trusted=With ] http://127.0.0.1/a ./' >/etc/apt/sources.list.d/bad.list; \
         printf 'Types: deb\\nURIs: http://127.0.0.1/b\\nSuites: ./\\nTrusted:\\n  YES\\n' >/etc/apt/sources.list.d/bad.sources",
    );
    stands(
        &audit(project, "harden/updates", &[]),
        &[
            ("U1", "fail", &["APT::Periodic::Enable is 0"]),
            (
                "U4",
                "fail",
                &[
                    "AllowUnauthenticated is on",
                    "Check-Valid-Until is off",
                    "bad.list:1: takes",
                    "bad.sources:4: takes",
                ],
            ),
        ],
    );
    project.on_host("rm /etc/apt/apt.conf.d/zzz-bad /etc/apt/sources.list.d/bad.*");
    // Lists that keep packages back, an archive that no pattern takes, keys that are not there or anybody's.
    project.on_host(UPDATES);
    let found = audit(project, "harden/updates", &["--var", "held=[\"ada\"]"]);
    stands(
        &found,
        &[
            ("U1", "fail", &["APT::Periodic::Unattended-Upgrade is 0", "apt-daily-upgrade.service is masked"]),
            (
                "U2",
                "fail",
                &[
                    "Package-Blacklist '.*' keeps back",
                    "Package-Blacklist 'linux-|openss' keeps back 4 packages: openssh-client",
                    "Package-Whitelist: only packages of these names are upgraded: bash",
                    "InstallOnShutdown",
                    "the security archive",
                ],
            ),
            (
                "U4",
                "fail",
                &[
                    "gone.sources:4: the key /usr/share/keyrings/none.gpg is not there",
                    "open.list:1: others than root write the key /srv/open.gpg",
                    "open.list:1: takes an old list",
                    "open.list:1: takes packages without signature",
                ],
            ),
        ],
    );
    for right in ["inline.sources", "off.sources", "'ada'", "'nowhere'"] {
        assert!(found.values().all(|(_, said)| !said.contains(right)), "{right}: {found:#?}");
    }
    project.on_host(
        "systemctl unmask apt-daily-upgrade.service; cd /etc/apt; rm -r apt.conf.d/zzz-bad sources.list.d/inline.sources sources.list.d/gone.sources \
         sources.list.d/off.sources sources.list.d/open.list sources.list.d/security.list /srv/security",
    );
    undo(project);
    assert_eq!(before, etc(project));
}
