//! # Known attacks, the defence, and the test that proves it
//!
//! A row without a test would be a claim; `tests/manual.rs` proves that every
//! test that is named here exists.
//!
//! ## The Docker API behind the gateway
//!
//! `class_…` asks the policy. `daemon_…` sends the bytes to the gateway as it
//! runs, before a real engine, and asks that engine whether the forbidden has
//! come about; then it sends the same bytes straight to it, to see that it would have.
//!
//! | attack | defence | test |
//! |---|---|---|
//! | any letter case of a key (Go matches without case) | a key that only folds to a known one is refused | `class_01_any_letter_case_of_a_key_is_refused`, `daemon_01_no_letter_case_of_a_key_makes_a_container_privileged` |
//! | U+017F and U+212A fold to `s` and `k` | folded like Go does, then refused | `class_02_unicode_folding_is_refused`, `daemon_02_unicode_folding_makes_no_container_privileged` |
//! | duplicate keys are merged by the daemon | refused at every level | `class_03_duplicate_keys_are_refused_at_every_level`, `daemon_03_duplicate_keys_are_not_merged_into_a_privileged_container` |
//! | `\u0048ostConfig` | keys are compared after unescaping, the body is rebuilt | `class_04_an_escaped_key_is_the_key_it_stands_for`, `daemon_04_an_escaped_key_makes_no_container_privileged` |
//! | trailing bytes or a second object | nothing may follow | `class_05_nothing_may_follow_the_body`, `daemon_05_what_follows_a_body_hides_no_privileged_one` |
//! | empty or oversized body skips inspection (CVE-2024-41110) | a body that must be inspected must be there, whole | `class_06_an_empty_or_unread_body_is_refused`, `daemon_06_no_size_and_no_framing_of_a_body_skips_inspection` |
//! | a form body overrides the query | only JSON where JSON is due | `class_07_a_form_body_is_refused`, `daemon_07_a_form_body_does_not_take_the_place_of_the_query` |
//! | duplicate query keys | refused, and so is any unknown key | `class_08_duplicate_and_unknown_query_keys_are_refused`, `daemon_08_of_duplicate_query_keys_none_is_used` |
//! | `%63reate`, `%2F`, absolute form | one spelling of a path only | `class_09_encoded_paths_and_absolute_targets_are_refused`, `daemon_09_no_spelling_of_a_path_reaches_create` |
//! | no version, odd versions | a version within the modelled range, and one is always sent | `class_10_a_version_must_be_a_usual_one_and_one_is_always_sent`, `daemon_10_without_a_usual_version_nothing_is_made` |
//! | `start` with a HostConfig | start takes no body | `class_11_start_takes_no_body`, `daemon_11_a_start_with_a_body_makes_no_container_privileged` |
//! | API below 1.41 changes namespace defaults | refused; a pinned version is sent | `class_12_versions_with_other_namespace_defaults_are_refused_and_the_pinned_one_is_sent`, `daemon_12_no_old_version_changes_the_namespaces_of_a_container` |
//! | greedy name routes hold slashes | names are parsed by their own grammar | `class_13_greedy_names_do_not_reach_other_routes`, `daemon_13_a_name_with_slashes_reaches_no_other_route` |
//! | Content-Length with Transfer-Encoding, two Hosts, HTTP/1.0, bare LF, CONNECT | refused before anything is read further | `class_14_ambiguous_framing_is_refused`, `nothing_ambiguous_reaches_the_daemon`, `daemon_14_no_framing_smuggles_a_second_request` |
//! | raw mode before 101 | bytes before the switch are refused | `class_15_a_connection_is_taken_over_where_the_operation_does_so`, `bytes_before_the_switch_are_refused`, `daemon_15_nothing_is_carried_raw_before_the_engine_has_switched` |
//! | `Upgrade: h2c` | only `tcp`, where it was asked for | `class_16_other_upgrades_are_refused`, `daemon_16_no_other_protocol_is_switched_to` |
//! | a container named like another's id | names are resolved, ids are sent | `class_17_a_name_cannot_stand_for_another_containers_id`, `daemon_17_no_container_is_named_like_anothers_id` |
//! | check-then-act on names and tags | what was checked is sent, by full id | `class_18_what_was_checked_is_what_is_used`, `daemon_18_a_name_that_moves_between_check_and_use_harms_nobody` |
//! | user `00` is root | every spelling of root is root | `class_19_every_spelling_of_root_is_root`, `daemon_19_no_spelling_of_root_runs_as_root` |
//! | a second Dockerfile in a build tar, gzip bombs | a grant of its own, a limit on the stream, no rule relies on the tar | `class_20_a_build_is_bounded_by_rules_that_do_not_read_its_tar`, `daemon_20_no_build_goes_beyond_its_role_whatever_its_tar_holds` |
//! | an equivalent field or endpoint left unchecked | create bodies by allow-list, one table of all routes | `class_21_every_equivalent_field_and_endpoint_is_checked`, `daemon_21_no_equivalent_field_or_endpoint_is_left_unchecked` |
//! | CR and LF into logs | escaped | `class_22_line_ends_reach_no_log` |
//! | prefix matches on registry or path | whole parts are compared | `class_23_registries_and_paths_match_whole_parts`, `daemon_23_no_registry_outside_the_list_is_dialled` |
//! | `docker cp` races before 29.5.1 | refused on such engines without a grant | `class_24_docker_cp_is_refused_on_engines_that_race`, `daemon_24_no_file_is_copied_by_an_engine_that_races` |
//! | a name that another tenant has, to reach or to learn of it | each tenant has names of its own | `two_tenants_have_the_same_names_and_do_not_meet` |
//! | creates at once, to pass a quota of all containers | counted and made one after another | `creates_at_once_do_not_pass_the_number_of_containers` |
//! | a client that leaves before its create is counted | its turn is kept until the daemon has answered | `a_client_that_leaves_does_not_pass_the_number_of_containers` |
//!
//! ## Docker's own operations, by a token that may call them
//!
//! | attack | defence | test |
//! |---|---|---|
//! | a bind swapped for a link to `/` between create and start | exactly a listed directory whose parents only root changes, judged again at each start and restart | `a_directory_of_the_host_is_mounted_exactly_as_the_role_lists_it`, `no_path_is_mounted_that_a_container_could_have_changed`, `mounts_are_judged_again_at_each_start`, `no_bundled_role_mounts_the_host`, `no_attack_of_the_table_gets_through` |
//! | the Docker socket by a bind of what holds it | never mounted, whatever a role lists | `even_a_root_of_everything_does_not_give_the_docker_socket`, `no_role_mounts_the_docker_socket` |
//! | root's containers as one's own: `exec`, `VolumesFrom`, `container:…`, `commit`, `export` | every reference is resolved; what was not made through the gateway is looked at only, secrets masked | `what_root_made_is_looked_at_and_nothing_else`, `no_attack_of_the_table_gets_through` |
//! | another tenant's image, by name, id or layer | images are a tenant's own or shared by the operator | `what_another_tenant_has_is_not_there`, `tags_are_set_and_removed_under_the_own_prefix_only` |
//! | `FROM` or `COPY --from` of another's image, a Dockerfile that the daemon reads otherwise | parsed as the daemon does, resolved, pinned by id and rebuilt, or refused | `what_is_accepted_means_to_the_daemon_what_the_gateway_thinks`, `a_reference_that_cannot_be_decided_is_refused`, `the_daemon_builds_the_dockerfile_of_the_gateway_whatever_the_context_holds` |
//! | triggers of a base image, layers without an owner | triggers are judged as instructions, layers carry their owner's label | `a_base_images_triggers_are_judged_as_instructions`, `what_is_rendered_is_one_line_an_instruction_pinned_and_labelled` |
//! | a log driver that sends to a socket or address of the host | drivers that keep their lines; others to listed addresses only | `no_bundled_role_has_logs_sent_to_an_address`, `log_drivers_keep_their_lines_on_the_host`, `no_attack_of_the_table_gets_through` |
//! | `ADD` of a URL of the host's network, or of a git repository | only hosts that the role lists; git refused | `what_the_daemon_fetches_is_listed_or_refused`, `no_bundled_role_has_the_daemon_fetch` |
//! | a refresh token at the gateway beside it | sessions are of one issuer and audience, tenant and role | `a_session_is_of_one_issuer_and_one_audience`, `a_session_from_before_sessions_had_a_gateway_is_not_accepted` |
//! | answers that tell another's object from none | one text and status for both | `anothers_and_missing_are_refused_with_the_same_words` |
//! | one tenant's networks use up the pool of addresses | a number for each tenant | `networks_of_a_tenant_are_bounded` |
//! | `-p 80` takes a port below 1024 | the engine's own range, or the role's | `a_free_port_is_the_engines_or_the_roles`, `a_free_port_is_taken_from_the_roles_range`, `no_attack_of_the_table_gets_through` |
//! | anything that a role does not name | each row of the roles' table, in both directions | `what_is_never_forwarded_is_refused`, `deploy_and_operator_run`, `deploy_and_operator_change`, `no_bundled_role_is_root_on_the_host` |
//!
//! ## Tokens and the service itself
//!
//! | attack | defence | test |
//! |---|---|---|
//! | `alg: none` in any case | refused | `alg_none_is_refused_in_every_case_variant` |
//! | another algorithm than the key's | fixed per key | `an_algorithm_that_is_not_the_keys_is_refused` |
//! | a public key used as an HMAC secret | two rings, two types | `a_public_key_never_verifies_as_an_hmac_secret` |
//! | a `kid` that is a path or a query | an exact map key | `a_kid_is_an_exact_map_key_and_nothing_else` |
//! | `jku`, `x5u`, `jwk`, `x5c` | refused | `a_header_that_brings_or_points_to_a_key_is_refused` |
//! | `crit`, `b64: false` | refused | `any_crit_is_refused` |
//! | another `typ` | exactly `at+jwt` | `a_typ_other_than_exactly_at_jwt_is_refused` |
//! | duplicate members | refused in header and claims | `duplicate_claims_are_refused` |
//! | a token for somebody else | `aud` is this gateway and no other | `the_audience_must_be_this_gateway_and_no_other` |
//! | a token that lives too long | `exp` less `iat` is bounded | `a_life_longer_than_allowed_is_refused` |
//! | a clock that jumps back | `iat` and `nbf` are checked | `a_clock_that_jumps_back_does_not_bring_a_token_into_force_early` |
//! | a clock that jumps ahead and back | what was revoked stays so, what was purged stays dead | `a_clock_that_jumps_brings_nothing_back` |
//! | trailing bits, padding, other alphabets | one encoding only | `padding_white_space_and_the_other_alphabet_are_refused` |
//! | nested tokens | refused unless configured, then every layer is verified | `nested_tokens_are_refused_unless_configured` |
//! | compression, PBES2 | refused | `other_encryption_zip_and_passwords_are_refused` |
//! | a weak or ill-formed key | refused when it is loaded | `an_rsa_key_must_be_large_and_its_exponent_sound` |
//! | a key file half written | the old ring stays in use, the fault is reported | `a_half_written_file_keeps_the_old_keys_and_is_reported`, `keys_and_certificate_are_loaded_anew_without_dropping_a_session` |
//! | a stolen refresh token | reuse revokes the family | `refresh_reuse_revocation_and_metrics` |
//! | a refresh or opaque token at another gateway of the same store | sessions are of one issuer and audience; elsewhere unknown, and untouched | `a_session_is_of_one_issuer_and_one_audience` |
//! | a log driver of the daemon that writes to the administrative socket | the gateway's own program only, with a nonce that was read | `a_log_driver_of_the_daemon_is_no_administrator`, `the_daemon_is_told_apart_by_a_service_user_who_cannot_read_its_program` |
//! | sessions planted in a Redis without a password | such a Redis is not used | `a_redis_without_a_password_is_not_used_unless_it_is_asked_for`, `a_redis_that_loses_its_password_is_as_good_as_gone_until_it_has_one` |
//! | an RSA key whose private key can be computed (ROCA) | its set is refused | `an_rsa_key_with_the_roca_fingerprint_is_refused_with_its_whole_set` |
//! | a set that mixes secrets and public keys, or has an id twice | refused whole | `a_set_that_mixes_secrets_and_public_keys_is_refused_whole`, `a_set_that_has_one_id_twice_is_refused_whole` |
//! | a clock that jumps while the gateway runs | no rotation rule is fooled | `a_used_refresh_token_is_reuse_whatever_the_clock_says` |
//! | a store that answers late | a limit, then a refusal | `a_slow_store_is_waited_for_within_its_limit_and_never_gone_round` |
//! | an old version of TLS, a weak suite or group | the modern profile only | `only_the_modern_profile_is_spoken_unless_tls_1_2_is_asked_for` |
//! | a stream that outlives its token | expiry and revocation end it | `expiry_ends_logs_and_revocation_ends_events` |
//! | a stream that outlives its session, or a role that was narrowed | the session and the rules loaded now are checked when a token ends | `no_refresh_takes_a_stream_beyond_its_session`, `a_role_that_was_narrowed_ends_a_stream_at_the_end_of_its_token`, `revocation_ends_a_stream_that_was_renewed_within_a_second` |
//! | input of a raw stream that looks like a request | what follows an attach or exec is input, or is dropped | `exec_and_attach_work_without_an_upgrade`, `what_follows_a_refused_raw_stream_is_no_request` |
//! | a daemon that hangs, to hold connections | every answer has a limit | `an_answer_that_does_not_come_in_time_is_given_up`, `a_daemon_that_accepts_no_connection_is_given_up` |
//! | a store that is gone | requests are refused, with the reason | `a_store_that_is_gone_refuses_requests`, `a_store_that_dies_in_the_middle_of_traffic_lets_nothing_through_until_it_is_back` |
//! | a store that cannot be written | no new session; a revocation holds all the same | `a_store_that_cannot_be_written_gives_no_session_and_revokes_all_the_same`, `a_full_disk_keeps_no_session_alive_and_loses_none` |
//! | a full disk under the audit log | requests are refused | `a_full_disk_under_the_audit_log_refuses_requests` |
//! | slow headers | cut off | `a_head_that_does_not_end_is_cut_off` |
//! | endless bodies, and those that never come | cut off | `an_endless_body_is_cut_off`, `a_body_that_does_not_end_is_cut_off` |
//! | an issuer's key set fetched from somebody else | HTTPS to a verified name only, no redirect | `a_server_that_the_authority_does_not_vouch_for_is_asked_nothing`, `a_url_that_proves_nothing_is_refused_before_the_gateway_serves` |
//! | an issuer whose server is away, endless or silent | bounds; the last keys, up to an age, then a refusal | `an_issuer_that_is_away_keeps_its_last_keys_until_they_are_too_old`, `what_is_no_key_set_is_not_taken_and_the_reason_is_told`, `a_server_that_says_nothing_holds_up_no_request` |
//! | made-up key ids, to have keys fetched without end | one fetch in the configured time | `made_up_key_ids_cause_no_storm_of_fetches` |
//! | ten thousand connections | bounded for each client | `ten_thousand_connections_are_bounded` |
//!
//! ## The engine
//!
//! | attack | defence | test |
//! |---|---|---|
//! | a value that becomes shell code | one encoder, single quotes only; data travels apart | `any_words_arrive_as_they_are` |
//! | a host that prints what looks like an answer | every answer is framed by a nonce of the session | `a_program_that_breaks_or_reads_its_input_does_not_stop_the_conversation` |
//! | a changed or revoked host key | refused with both fingerprints, even by accept-new | `a_changed_host_key_is_refused_even_by_accept_new_and_shows_both` |
//! | terminal escapes in what a host says | made visible before they are printed | `terminal_escapes_in_content_are_never_printed` |
//! | markup, scripts and escapes of a host in the report of an audit | one escaper a format, a page that allows its own script alone | `nothing_hidden_gets_through_any_format`, `the_page_of_an_audit_works_in_a_browser_and_runs_nothing_of_a_host` |
//! | a host that sends without an end | an answer has a bound | `a_host_that_sends_without_an_end_is_given_up` |
//! | a second public key hidden behind a line end | keys are written back from their parsed form | `a_second_key_cannot_be_smuggled_in` |
//! | a secret in an argument list, log or diff | a type that prints its mask; bulk data on a memory file system | `a_secret_reaches_its_file_and_nothing_else` |
//! | a link in a tree that leads a change of owner out of it | find(1) changes into each directory before it names what is in it; links keep what they point to | `a_tree_gets_its_owner_and_modes_without_leaving_it_and_each_entry_gets_its_own_back` |
//! | two operators at once | a lock that dies with its holder and names it | `a_second_run_at_the_same_time_is_refused_and_told_by_whom` |
