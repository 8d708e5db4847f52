//! # What happens where the operator says nothing
//!
//! | subject | default | why |
//! |---|---|---|
//! | host keys | strict against known_hosts; a question on a terminal, a refusal elsewhere | the first connection is the one an attacker waits for |
//! | an unknown key of a playbook | error, with a suggestion | a slip must not silently do nothing |
//! | an undefined variable | error | as above |
//! | a directory where a file is wanted | refusal | nothing is removed that was not named |
//! | a symbolic link where a file is wanted | replaced, never followed | what it points to is not ours |
//! | `.ssh` 0700, `authorized_keys` 0600 | always repaired | sshd ignores keys that others could have written |
//! | keys that are there already | kept, unless `exclusive_keys` | locking somebody out must be asked for |
//! | SSH keys: DSA, RSA under 3072 bits | refused | they can be broken, now or soon |
//! | packages | one transaction, apt's lock awaited for ten minutes | a fresh cloud host is still busy with apt |
//! | restarts | once, at the end, and pending until they have happened | a failed run must not lose them |
//! | a reboot | only where packages ask for it; pending restarts end with it | it ends every connection there is |
//! | `--serial` | a batch with a failure is the last | what broke one batch breaks the next |
//! | records | kept in this user's own file; without one no run begins | what was done must be known later |
//! | the firewall | never enabled against the port in use | the operator's own connection comes first |
//! | a TCP listener of the Docker API | refused without the gateway or client certificates | it makes everyone root |
//! | `guard = true` | the step is guarded like those that change access | its author knows what it can cut off |
//! | secrets | `•••` in every output; never an argument | argument lists are public on a host |
//! | packages in an undo | left alone without `--packages` | others may have come to need them |
//! | access tokens | 15 minutes, EdDSA, for one audience | what is stolen is soon worth nothing |
//! | `docker-host` | with the gateway unless `gateway = false`; without certificates a refusal that says how to make them | the API should be reached with a token or not at all |
//! | `binds`, `fetch`, `log_addresses`, `caps`, `grants` of a role | nothing | each reaches beyond the container |
//! | a directory in `binds` | exactly it, nothing below | a container that writes there chooses what lies below |
//! | what was not made through the gateway | listed and inspected with its secrets masked, no more | nobody gains through a container more than their role |
//! | images that tenants share | without `shared_images`, those without an owner that have a name | a tenant can use what the operator pulled |
//! | networks of a tenant | 8 | the daemon has some thirty subnets for all |
//! | a Redis without a password | refused, on loopback too | whoever reaches it could make sessions |
//! | TLS of the gateway | 1.3 | `min_version = "1.2"` where a client needs it |
