//! The session store: one contract, kept by the file and by a real Redis.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)] // a test that cannot set up must stop

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stockade_gateway::TenantName;
use stockade_gateway::store::{
    Binding, OpaqueToken, RedbStore, RedisStore, Rotation, Session, Store, StoreError, Tenants, TokenHash, open,
};

use crate::process::redis::Redis;

/// A day in 2001, so that what is purged in these tests lies behind every clock.
const NOW: u64 = 1_000_000_000;
const PATIENCE: Duration = Duration::from_secs(60);

fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn session(id: &str, now: u64) -> Session {
    Session {
        id: id.to_owned(),
        subject: "ann".to_owned(),
        tenant: Some("blue".into()),
        role: "deploy".into(),
        lifetime: 900,
        created: now,
        expires: now + 86_400,
        refreshed: now,
        revoked: None,
    }
}

fn opaque_token(id: &str, session: &str, now: u64) -> OpaqueToken {
    OpaqueToken {
        token_id: id.to_owned(),
        subject: "ann".to_owned(),
        tenant: None,
        role: "read".into(),
        session: Some(session.to_owned()),
        expires: now + 900,
    }
}

fn tenant(name: &str) -> TenantName {
    TenantName::parse(name).unwrap()
}

fn hash(token: &str) -> TokenHash {
    TokenHash::of(token)
}

fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test)
}

/// What every store keeps to, as tests: with one in memory and one in a file, and
/// with one in Redis, which is not on every machine. Each gets a store of its own.
macro_rules! contracts {
    ($($contract:ident),+ $(,)?) => {
        mod of_redb {
            $(#[test]
            fn $contract() {
                super::with_redb(super::$contract);
            })+
        }
        mod of_redis {
            $(#[test]
            #[ignore = "needs redis-server: tests/run.sh runs it"]
            fn $contract() {
                super::with_redis(super::$contract);
            })+
        }
    };
}

contracts! {
    a_refresh_token_is_exchanged_and_the_session_stays_the_same,
    another_gateway_of_the_same_store_finds_and_changes_nothing,
    tenants_are_remembered_by_all_gateways,
    reuse_revokes_the_family_and_no_other,
    a_client_that_lost_the_answer_retries_once_and_the_lost_token_is_a_trap,
    of_fifty_rotations_at_once_one_wins_and_the_session_lives,
    a_revocation_holds_for_the_next_request,
    an_opaque_token_is_found_until_it_ends,
    sessions_are_listed_with_the_revoked_and_without_the_expired,
}

fn with_redb<F: Future<Output = ()>>(contract: impl Fn(Arc<dyn Store>) -> F) {
    run(contract(Arc::new(RedbStore::in_memory().unwrap())));
    let folder = tempfile::tempdir().unwrap();
    run(contract(Arc::new(RedbStore::open(&folder.path().join("store")).unwrap())));
}

fn with_redis<F: Future<Output = ()>>(contract: impl Fn(Arc<dyn Store>) -> F) {
    let redis = Redis::start();
    run(async { contract(Arc::new(RedisStore::connect(&redis.url()).await.unwrap())).await });
}

/// Waits until the store answers again.
async fn back(store: &dyn Store) {
    let end = tokio::time::Instant::now() + PATIENCE;
    while let Err(error) = store.health().await {
        assert!(tokio::time::Instant::now() < end, "{error}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn a_refresh_token_is_exchanged_and_the_session_stays_the_same(store: Arc<dyn Store>) {
    let made = session("ses_1", NOW);
    store.create_session(&made, Some(&hash("r0"))).await.unwrap();
    assert!(!store.is_revoked(Some("ses_1"), "jti").await.unwrap());
    for n in 0..5_u64 {
        let (old, new) = (hash(&format!("r{n}")), hash(&format!("r{}", n + 1)));
        let at = NOW + n * 600;
        let expected = Session { refreshed: at, ..made.clone() };
        assert_eq!(store.rotate(&old, &new, at).await.unwrap(), Rotation::Rotated(expected));
    }
    assert_eq!(store.session_of(&hash("r0")).await.unwrap().as_deref(), Some("ses_1"));
    let now = store.session("ses_1").await.unwrap().unwrap();
    assert_eq!((now.refreshed, now.revoked), (NOW + 4 * 600, None));
    assert_eq!(store.rotate(&hash("never"), &hash("x"), NOW).await.unwrap(), Rotation::Unknown);
    // A rotation that fails leaves nothing of the new token.
    assert_eq!(store.session_of(&hash("x")).await.unwrap(), None);
}

async fn another_gateway_of_the_same_store_finds_and_changes_nothing(store: Arc<dyn Store>) {
    let names = [("i", "a"), ("i", "b"), ("j", "a")].map(|(issuer, audience)| Binding::new(issuer, audience));
    let [own, other, third] = names.each_ref().map(|binding| store.bound_to(binding));
    own.create_session(&session("ses_1", NOW), Some(&hash("r0"))).await.unwrap();
    own.put_opaque(&hash("o"), &opaque_token("tok_1", "ses_1", NOW), NOW).await.unwrap();
    assert!(matches!(own.rotate(&hash("r0"), &hash("r1"), NOW).await.unwrap(), Rotation::Rotated(_)));
    for stranger in [&other, &third, &store] {
        // Neither what is current nor what was used is known, and no family ends.
        for token in ["r0", "r1", "never"] {
            assert_eq!(stranger.rotate(&hash(token), &hash("x"), NOW + 60).await.unwrap(), Rotation::Unknown);
            assert_eq!(stranger.session_of(&hash(token)).await.unwrap(), None);
        }
        assert_eq!(stranger.session("ses_1").await.unwrap(), None);
        assert_eq!(stranger.list_sessions(NOW).await.unwrap(), []);
        assert_eq!(stranger.opaque(&hash("o"), NOW).await.unwrap(), None);
        assert!(!stranger.revoke_session("ses_1", NOW).await.unwrap());
        stranger.revoke_token("tok_1", NOW + 900, NOW).await.unwrap();
        assert!(stranger.is_revoked(None, "tok_1").await.unwrap());
        assert!(stranger.is_revoked(Some("ses_1"), "x").await.unwrap(), "what is not known is dead");
    }
    assert!(!own.is_revoked(Some("ses_1"), "tok_1").await.unwrap());
    assert_eq!(own.opaque(&hash("o"), NOW).await.unwrap().unwrap().token_id, "tok_1");
    let again = store.bound_to(&Binding::new("i", "a"));
    assert!(matches!(again.rotate(&hash("r1"), &hash("r2"), NOW + 60).await.unwrap(), Rotation::Rotated(_)));
    assert!(again.revoke_session("ses_1", NOW + 61).await.unwrap());
    assert!(own.is_revoked(Some("ses_1"), "tok_1").await.unwrap());
    assert_eq!(own.list_sessions(NOW).await.unwrap().len(), 1);
}

async fn tenants_are_remembered_by_all_gateways(store: Arc<dyn Store>) {
    let known = Tenants::new(Arc::clone(&store));
    known.remember(Some(&tenant("shop"))).await.unwrap();
    known.remember(Some(&tenant("shop"))).await.unwrap();
    known.remember(None).await.unwrap();
    let other = Tenants::new(store.bound_to(&Binding::new("i", "a")));
    assert!(other.snapshot().is_empty());
    other.remember(Some(&tenant("web"))).await.unwrap();
    assert_eq!(other.snapshot().len(), 2, "those of the store are read before anybody is served");
    known.load().await.unwrap();
    assert!(known.snapshot().contains("web") && known.snapshot().contains("shop"));
}

#[test]
fn tenants_are_remembered_across_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    run(async { RedbStore::open(&path).unwrap().remember_tenant(&tenant("shop")).await.unwrap() });
    run(async { assert_eq!(RedbStore::open(&path).unwrap().tenants().await.unwrap(), ["shop"]) });
}

async fn reuse_revokes_the_family_and_no_other(store: Arc<dyn Store>) {
    store.create_session(&session("ses_1", NOW), Some(&hash("a0"))).await.unwrap();
    store.create_session(&session("ses_2", NOW), Some(&hash("b0"))).await.unwrap();
    store.rotate(&hash("a0"), &hash("a1"), NOW).await.unwrap();
    store.rotate(&hash("a1"), &hash("a2"), NOW + 1).await.unwrap();
    let mut revocations = store.revocations();
    revocations.mark_unchanged();
    // The successor was used, so this is no retry, however soon.
    let reused = store.rotate(&hash("a0"), &hash("thief"), NOW + 2).await.unwrap();
    assert_eq!(reused, Rotation::Reused("ses_1".to_owned()));
    tokio::time::timeout(PATIENCE, revocations.changed()).await.unwrap().unwrap();
    assert!(store.is_revoked(Some("ses_1"), "any").await.unwrap());
    assert!(!store.is_revoked(Some("ses_2"), "any").await.unwrap());
    for dead in ["a0", "a1", "a2"] {
        let answer = store.rotate(&hash(dead), &hash("more"), NOW + 3).await.unwrap();
        assert_eq!(answer, Rotation::Ended("ses_1".to_owned()), "{dead}");
    }
    assert_eq!(store.session("ses_1").await.unwrap().unwrap().revoked, Some(NOW + 2));
    assert!(matches!(store.rotate(&hash("b0"), &hash("b1"), NOW).await.unwrap(), Rotation::Rotated(_)));
}

async fn a_client_that_lost_the_answer_retries_once_and_the_lost_token_is_a_trap(store: Arc<dyn Store>) {
    let rotated = |rotation: &Rotation| matches!(rotation, Rotation::Rotated(_));
    store.create_session(&session("ses_1", NOW), Some(&hash("a0"))).await.unwrap();
    assert!(rotated(&store.rotate(&hash("a0"), &hash("lost"), NOW).await.unwrap()));
    assert_eq!(store.rotate(&hash("a0"), &hash("x"), NOW + 1).await.unwrap(), Rotation::Raced);
    assert!(rotated(&store.rotate(&hash("a0"), &hash("a1"), NOW + 10).await.unwrap()));
    assert!(!store.is_revoked(Some("ses_1"), "jti").await.unwrap());
    // Had a thief retried, the owner's next refresh would show it.
    let trap = store.rotate(&hash("lost"), &hash("y"), NOW + 600).await.unwrap();
    assert_eq!(trap, Rotation::Reused("ses_1".to_owned()));

    store.create_session(&session("ses_2", NOW), Some(&hash("b0"))).await.unwrap();
    assert!(rotated(&store.rotate(&hash("b0"), &hash("b1"), NOW).await.unwrap()));
    let late = store.rotate(&hash("b0"), &hash("b2"), NOW + 11).await.unwrap();
    assert_eq!(late, Rotation::Reused("ses_2".to_owned()));

    store.create_session(&session("ses_3", NOW), Some(&hash("c0"))).await.unwrap();
    assert!(rotated(&store.rotate(&hash("c0"), &hash("c1"), NOW).await.unwrap()));
    assert!(rotated(&store.rotate(&hash("c0"), &hash("c2"), NOW + 5).await.unwrap()));
    let twice = store.rotate(&hash("c0"), &hash("c3"), NOW + 9).await.unwrap();
    assert_eq!(twice, Rotation::Reused("ses_3".to_owned()));

    // A clock that ran back by a minute is no licence to use a token again.
    store.create_session(&session("ses_4", NOW), Some(&hash("d0"))).await.unwrap();
    assert!(rotated(&store.rotate(&hash("d0"), &hash("d1"), NOW).await.unwrap()));
    let back = store.rotate(&hash("d0"), &hash("d2"), NOW - 60).await.unwrap();
    assert_eq!(back, Rotation::Reused("ses_4".to_owned()));
}

async fn fifty_at_once(stores: &[Arc<dyn Store>]) {
    stores[0].create_session(&session("ses_1", NOW), Some(&hash("r0"))).await.unwrap();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            let store = Arc::clone(&stores[n % stores.len()]);
            tokio::spawn(async move {
                let rotation = store.rotate(&hash("r0"), &hash(&format!("new{n}")), NOW).await.unwrap();
                (n, rotation)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for task in tasks {
        match task.await.unwrap() {
            (n, Rotation::Rotated(_)) => winners.push(n),
            (_, rotation) => assert_eq!(rotation, Rotation::Raced),
        }
    }
    assert_eq!(winners.len(), 1, "{winners:?}");
    assert!(!stores[0].is_revoked(Some("ses_1"), "jti").await.unwrap());
    let current = hash(&format!("new{}", winners[0]));
    assert!(matches!(stores[0].rotate(&current, &hash("r2"), NOW + 1).await.unwrap(), Rotation::Rotated(_)));
}

async fn of_fifty_rotations_at_once_one_wins_and_the_session_lives(store: Arc<dyn Store>) {
    fifty_at_once(&[store]).await;
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn of_fifty_rotations_at_three_gateways_one_wins_and_the_session_lives() {
    let redis = Redis::start();
    run(async {
        let mut gateways: Vec<Arc<dyn Store>> = Vec::new();
        for _ in 0..3 {
            gateways.push(Arc::new(RedisStore::connect(&redis.url()).await.unwrap()));
        }
        fifty_at_once(&gateways).await;
    });
}

async fn a_revocation_holds_for_the_next_request(store: Arc<dyn Store>) {
    store.create_session(&session("ses_1", NOW), None).await.unwrap();
    let mut revocations = store.revocations();
    revocations.mark_unchanged();
    assert!(!store.is_revoked(Some("ses_1"), "one").await.unwrap());
    store.revoke_token("one", NOW + 900, NOW).await.unwrap();
    assert!(store.is_revoked(Some("ses_1"), "one").await.unwrap());
    assert!(store.is_revoked(None, "one").await.unwrap());
    assert!(!store.is_revoked(Some("ses_1"), "two").await.unwrap());
    tokio::time::timeout(PATIENCE, revocations.changed()).await.unwrap().unwrap();

    assert!(store.revoke_session("ses_1", NOW).await.unwrap());
    assert!(store.is_revoked(Some("ses_1"), "two").await.unwrap());
    assert!(!store.revoke_session("ses_1", NOW).await.unwrap(), "it was revoked before");
    assert!(!store.revoke_session("nobody", NOW).await.unwrap());
    assert!(store.is_revoked(Some("nobody"), "two").await.unwrap(), "an unknown session is a dead one");
    assert!(!store.is_revoked(None, "from an outside issuer").await.unwrap());
}

async fn an_opaque_token_is_found_until_it_ends(store: Arc<dyn Store>) {
    store.create_session(&session("ses_1", NOW), None).await.unwrap();
    let token = opaque_token("tok_1", "ses_1", NOW);
    store.put_opaque(&hash("opaque"), &token, NOW).await.unwrap();
    assert_eq!(store.opaque(&hash("opaque"), NOW + 899).await.unwrap(), Some(token));
    assert_eq!(store.opaque(&hash("opaque"), NOW + 900).await.unwrap(), None);
    assert_eq!(store.opaque(&hash("other"), NOW).await.unwrap(), None);
}

async fn sessions_are_listed_with_the_revoked_and_without_the_expired(store: Arc<dyn Store>) {
    for (id, at) in [("ses_b", NOW + 5), ("ses_a", NOW), ("ses_old", NOW - 86_400)] {
        store.create_session(&session(id, at), None).await.unwrap();
    }
    store.revoke_session("ses_b", NOW + 6).await.unwrap();
    let listed = store.list_sessions(NOW + 7).await.unwrap();
    let brief: Vec<_> = listed.iter().map(|session| (session.id.as_str(), session.revoked)).collect();
    assert_eq!(brief, [("ses_a", None), ("ses_b", Some(NOW + 6))]);
    assert_eq!(listed[0], session("ses_a", NOW));
}

#[test]
fn what_has_ended_is_purged_from_the_file_and_stays_dead() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    run(async {
        let store = RedbStore::open(&path).unwrap();
        store.create_session(&session("ses_old", NOW), Some(&hash("r0"))).await.unwrap();
        store.create_session(&session("ses_new", NOW + 86_400), Some(&hash("s0"))).await.unwrap();
        store.rotate(&hash("r0"), &hash("r1"), NOW).await.unwrap();
        store.put_opaque(&hash("opaque"), &opaque_token("tok_1", "ses_old", NOW), NOW).await.unwrap();
        store.revoke_token("jti", NOW + 900, NOW).await.unwrap();
        assert_eq!(store.purge(NOW).await.unwrap(), 0);
        // One session, two refresh tokens, one opaque token, one revocation.
        assert_eq!(store.purge(NOW + 86_401).await.unwrap(), 5);
        assert_eq!(store.purge(NOW + 86_401).await.unwrap(), 0);
        assert!(store.is_revoked(Some("ses_old"), "x").await.unwrap());
        assert!(!store.is_revoked(Some("ses_new"), "x").await.unwrap());
        assert_eq!(store.rotate(&hash("r1"), &hash("r2"), NOW).await.unwrap(), Rotation::Unknown);
        assert_eq!(store.opaque(&hash("opaque"), NOW).await.unwrap(), None);
    });
}

#[test]
fn a_clock_that_jumps_brings_nothing_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let now = unix_now();
    let year = 365 * 86_400;
    let check = async |store: RedbStore| {
        assert_eq!(store.purge(now + year).await.unwrap(), 0, "the clock jumped a year ahead");
        assert!(store.is_revoked(Some("ses_1"), "x").await.unwrap());
        assert!(store.is_revoked(Some("ses_2"), "jti").await.unwrap());
        assert!(!store.is_revoked(Some("ses_2"), "x").await.unwrap());
        // … and was set right, and ran back.
        assert_eq!(store.purge(now - year).await.unwrap(), 0);
        assert!(store.is_revoked(Some("ses_2"), "jti").await.unwrap());
    };
    run(async {
        let store = RedbStore::open(&path).unwrap();
        store.create_session(&session("ses_1", now), None).await.unwrap();
        store.create_session(&session("ses_2", now), None).await.unwrap();
        store.revoke_session("ses_1", now).await.unwrap();
        store.revoke_token("jti", now + 900, now).await.unwrap();
        check(store).await;
        check(RedbStore::open(&path).unwrap()).await;
    });
}

#[test]
fn the_file_keeps_all_and_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    run(async {
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let second = RedbStore::open(&path).err().unwrap().to_string();
        assert!(second.contains("another process has it open"), "{second}");
        store.create_session(&session("ses_1", NOW), Some(&hash("secret refresh"))).await.unwrap();
        store.create_session(&session("ses_2", NOW), None).await.unwrap();
        store.put_opaque(&hash("secret opaque"), &opaque_token("tok_1", "ses_1", NOW), NOW).await.unwrap();
        store.revoke_session("ses_2", NOW).await.unwrap();
        store.revoke_token("jti", NOW + 900, NOW).await.unwrap();
        drop(store);

        let bytes = std::fs::read(&path).unwrap();
        let holds = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(holds("ses_1") && !holds("secret refresh") && !holds("secret opaque"));

        let store = open(&format!("redb:{}", path.display())).await.unwrap();
        assert!(!store.is_revoked(Some("ses_1"), "x").await.unwrap());
        assert!(store.is_revoked(Some("ses_2"), "x").await.unwrap());
        assert!(store.is_revoked(Some("ses_1"), "jti").await.unwrap());
        assert!(store.opaque(&hash("secret opaque"), NOW).await.unwrap().is_some());
        assert!(matches!(store.rotate(&hash("secret refresh"), &hash("r1"), NOW).await.unwrap(), Rotation::Rotated(_)));
    });
}

#[test]
fn a_file_that_is_not_safe_or_not_a_store_is_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let reason = |path: PathBuf| RedbStore::open(&path).err().expect("it must be refused").to_string();
    let path = folder.path().join("store");
    drop(RedbStore::open(&path).unwrap());
    let link = folder.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(reason(link).contains("symbolic link"));
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    assert!(reason(path).contains("0640"));
    let text = folder.path().join("text");
    std::fs::write(&text, "not a store, only some text in a file".repeat(500)).unwrap();
    std::fs::set_permissions(&text, PermissionsExt::from_mode(0o600)).unwrap();
    reason(text);
    assert!(reason(folder.path().join("no/such/folder")).contains("No such file"));
    reason(folder.path().to_owned());
    let unknown = run(open("sqlite:/tmp/x")).err().expect("it must be refused").to_string();
    assert!(unknown.contains("redb:"), "{unknown}");
}

const CHILD: &str = "STOCKADE_TEST_STORE";

fn again(test: &str, path: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(CHILD, path);
    command
}

/// As a child: rotates token after token, and says each only once it is on disk.
async fn rotate_for_ever(path: &Path) {
    let store = RedbStore::open(path).unwrap();
    let family = std::env::var("STOCKADE_TEST_FAMILY").unwrap();
    for n in 0_u64.. {
        let (old, new) = (hash(&format!("{family}-{n}")), hash(&format!("{family}-{}", n + 1)));
        assert!(matches!(store.rotate(&old, &new, NOW).await.unwrap(), Rotation::Rotated(_)));
        if std::env::var("STOCKADE_TEST_SILENT").is_ok_and(|silent| silent == n.to_string()) {
            println!("\ncommitted");
            std::future::pending::<()>().await;
        }
        println!("answered {}", n + 1);
    }
}

#[test]
fn a_kill_between_the_commit_and_the_answer_costs_no_session() {
    if let Some(path) = std::env::var_os(CHILD) {
        run(rotate_for_ever(Path::new(&path)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    let mut lost = 0;
    for round in 0..16_u64 {
        let family = format!("ses_{round}");
        run(async {
            let store = RedbStore::open(&path).unwrap();
            store.create_session(&session(&family, NOW), Some(&hash(&format!("{family}-0")))).await.unwrap();
        });
        let mut child = again("store::a_kill_between_the_commit_and_the_answer_costs_no_session", &path)
            .env("STOCKADE_TEST_FAMILY", &family)
            // Every other child is killed exactly there, the rest wherever it happens.
            .env("STOCKADE_TEST_SILENT", if round % 2 == 0 { round.to_string() } else { String::new() })
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut answered = 0_u64;
        let mut take = |line: &str| {
            if let Some(n) = line.trim().strip_prefix("answered ") {
                answered = n.parse().unwrap();
            }
            answered
        };
        let mut line = String::new();
        while take(&line) < 1 + round && line.trim() != "committed" {
            line.clear();
            assert_ne!(said.read_line(&mut line).unwrap(), 0, "the child ended by itself");
        }
        child.kill().unwrap();
        child.wait().unwrap();
        let mut rest = String::new();
        said.read_to_string(&mut rest).unwrap();
        // The last line may be cut off: then its answer never arrived.
        rest.split_inclusive('\n').filter(|line| line.ends_with('\n')).for_each(|line| {
            take(line);
        });

        run(async {
            let store = RedbStore::open(&path).unwrap();
            let known = hash(&format!("{family}-{answered}"));
            let unseen = hash(&format!("{family}-{}", answered + 1));
            let committed = store.session_of(&unseen).await.unwrap().is_some();
            lost += u64::from(committed);
            let next = hash(&format!("{family}-next"));
            let retried = store.rotate(&known, &next, NOW + 5).await.unwrap();
            assert!(matches!(retried, Rotation::Rotated(_)), "{retried:?} with {answered} answered");
            let later = store.rotate(&next, &hash(&format!("{family}-last")), NOW + 600).await.unwrap();
            assert!(matches!(later, Rotation::Rotated(_)), "{later:?}");
            if committed {
                let trap = store.rotate(&unseen, &hash("x"), NOW + 601).await.unwrap();
                assert_eq!(trap, Rotation::Reused(family.clone()));
            } else {
                assert_eq!(store.rotate(&unseen, &hash("x"), NOW + 601).await.unwrap(), Rotation::Unknown);
            }
        });
    }
    assert!(lost >= 8, "{lost} of 16 kills fell between commit and answer");
}

/// As a child that may write no large files: fills the store until it refuses.
async fn fill_the_disk(path: &Path) {
    let store = RedbStore::open(path).unwrap();
    store.create_session(&session("ses_first", NOW), None).await.unwrap();
    for n in 0.. {
        match store.create_session(&session(&format!("ses_{n}"), NOW), None).await {
            Ok(()) => assert!(n < 1_000_000, "the limit does not hold"),
            Err(StoreError::Unavailable { .. }) => break,
            Err(error) => panic!("{error}"),
        }
    }
    // Reads go on, and a revocation holds even where it cannot be written.
    assert!(!store.is_revoked(Some("ses_first"), "x").await.unwrap());
    let _ = store.revoke_session("ses_first", NOW).await;
    assert!(store.is_revoked(Some("ses_first"), "x").await.unwrap());
    let _ = store.revoke_token("jti", NOW + 900, NOW).await;
    assert!(store.is_revoked(None, "jti").await.unwrap());
    println!("held");
}

#[test]
fn a_full_disk_keeps_no_session_alive_and_loses_none() {
    if let Some(path) = std::env::var_os(CHILD) {
        run(fill_the_disk(Path::new(&path)));
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store");
    drop(RedbStore::open(&path).unwrap());
    let blocks = std::fs::metadata(&path).unwrap().len() / 1024 + 64;
    let child = again("store::a_full_disk_keeps_no_session_alive_and_loses_none", &path);
    let mut limited = Command::new("bash");
    limited.arg("-c").arg("trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"").arg("limit").arg(blocks.to_string());
    let out =
        limited.arg(child.get_program()).args(child.get_args()).env(CHILD, &path).output().expect("bash must run");
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("held"), "{said}{}", String::from_utf8_lossy(&out.stderr));
    run(async {
        let store = RedbStore::open(&path).unwrap();
        assert!(!store.list_sessions(NOW).await.unwrap().is_empty());
        store.create_session(&session("ses_after", NOW), None).await.unwrap();
        assert!(!store.is_revoked(Some("ses_after"), "x").await.unwrap());
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn two_gateways_share_a_revocation_at_once() {
    let redis = Redis::start();
    run(async {
        let (one, two) = (open(&redis.url()).await.unwrap(), open(&redis.url()).await.unwrap());
        let now = unix_now();
        for n in 0..50 {
            let id = format!("ses_{n}");
            one.create_session(&session(&id, now), None).await.unwrap();
            assert!(!two.is_revoked(Some(&id), "x").await.unwrap());
            one.revoke_session(&id, now).await.unwrap();
            // With no wait: whoever revoked has the answer, so it holds everywhere.
            assert!(two.is_revoked(Some(&id), "x").await.unwrap());
            let jti = format!("jti_{n}");
            two.revoke_token(&jti, now + 900, now).await.unwrap();
            assert!(one.is_revoked(None, &jti).await.unwrap());
        }
        // Streams that are open elsewhere are told.
        let three = open(&redis.url()).await.unwrap();
        let mut revocations = three.revocations();
        // A link that has just come up says so once, as after messages were missed: that is awaited first.
        tokio::time::timeout(PATIENCE, revocations.wait_for(|count| *count > 0)).await.unwrap().unwrap();
        one.create_session(&session("ses_open", now), None).await.unwrap();
        assert!(!revocations.has_changed().unwrap());
        one.revoke_session("ses_open", now).await.unwrap();
        tokio::time::timeout(PATIENCE, revocations.changed()).await.unwrap().unwrap();
        assert!(three.is_revoked(Some("ses_open"), "x").await.unwrap());
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_store_that_is_gone_refuses_with_a_reason_and_comes_back_by_itself() {
    let mut redis = Redis::start();
    run(async {
        let store = open(&redis.url()).await.unwrap();
        let now = unix_now();
        store.create_session(&session("ses_live", now), Some(&hash("r0"))).await.unwrap();
        store.create_session(&session("ses_dead", now), None).await.unwrap();
        store.revoke_session("ses_dead", now).await.unwrap();
        store.revoke_token("jti", now + 900, now).await.unwrap();
        let mut revocations = store.revocations();
        revocations.mark_unchanged();

        redis.kill();
        let error = store.is_revoked(Some("ses_live"), "x").await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        assert!(store.rotate(&hash("r0"), &hash("r1"), now).await.is_err());
        assert!(store.opaque(&hash("o"), now).await.is_err());
        assert!(store.revoke_session("ses_live", now).await.is_err());
        // Streams that are open must ask again, and be refused.
        tokio::time::timeout(PATIENCE, revocations.changed()).await.unwrap().unwrap();
        let end = tokio::time::Instant::now() + PATIENCE;
        loop {
            let error = store.is_revoked(Some("ses_live"), "x").await.unwrap_err().to_string();
            assert!(error.contains(&format!("redis://127.0.0.1:{}", redis.port)), "{error}");
            if error.contains("refused") {
                break;
            }
            assert!(tokio::time::Instant::now() < end, "{error}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }

        revocations.mark_unchanged();
        redis.restart();
        back(&*store).await;
        // Whoever remembers anything must ask again: messages were missed.
        tokio::time::timeout(PATIENCE, revocations.changed()).await.unwrap().unwrap();
        assert!(!store.is_revoked(Some("ses_live"), "x").await.unwrap());
        assert!(store.is_revoked(Some("ses_dead"), "x").await.unwrap());
        assert!(store.is_revoked(Some("ses_live"), "jti").await.unwrap());
        assert!(matches!(store.rotate(&hash("r0"), &hash("r1"), now).await.unwrap(), Rotation::Rotated(_)));

        redis.cli(&["FLUSHALL"]);
        assert!(store.is_revoked(Some("ses_live"), "x").await.unwrap(), "what the store forgot is dead");
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_store_that_hangs_refuses_too() {
    let redis = Redis::start();
    run(async {
        let store = open(&redis.url()).await.unwrap();
        store.create_session(&session("ses_1", unix_now()), None).await.unwrap();
        redis.signal("-STOP");
        let answer =
            tokio::time::timeout(PATIENCE, store.is_revoked(Some("ses_1"), "x")).await.expect("it must not hang");
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable { .. }), "{error:?}");
        redis.signal("-CONT");
        back(&*store).await;
        assert!(!store.is_revoked(Some("ses_1"), "x").await.unwrap());
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_gateway_that_starts_before_its_store_waits_for_it_and_refuses_meanwhile() {
    let mut redis = Redis::start();
    redis.kill();
    run(async {
        let store = open(&redis.url()).await.unwrap();
        let error = store.is_revoked(None, "x").await.unwrap_err().to_string();
        assert!(error.contains("refused"), "{error}");
        redis.restart();
        back(&*store).await;
        assert!(!store.is_revoked(None, "x").await.unwrap());
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn a_wrong_password_is_told_and_a_right_one_comes_from_a_file() {
    let redis = Redis::start_with(&["--requirepass", "right"]);
    run(async {
        let wrong = open(&format!("redis://:wrong@127.0.0.1:{}/0", redis.port)).await.unwrap();
        let error = wrong.health().await.unwrap_err().to_string();
        assert!(error.contains("WRONGPASS") || error.to_lowercase().contains("password"), "{error}");
        assert!(!error.contains(":wrong@"), "{error}");
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "right\n").unwrap();
        let url = format!("redis://127.0.0.1:{}/0?password_file={}", redis.port, file.path().display());
        let store = open(&url).await.unwrap();
        store.health().await.unwrap();
        assert!(!store.is_revoked(None, "x").await.unwrap());
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn redis_forgets_by_itself_and_later_than_needed() {
    let redis = Redis::start();
    run(async {
        let store = open(&redis.url()).await.unwrap();
        let now = unix_now();
        store.create_session(&session("ses_1", now), Some(&hash("r0"))).await.unwrap();
        store.rotate(&hash("r0"), &hash("r1"), now).await.unwrap();
        store.put_opaque(&hash("o"), &opaque_token("tok_1", "ses_1", now), now).await.unwrap();
        store.revoke_token("jti", now + 900, now).await.unwrap();
        store.revoke_token("jti", now + 10, now).await.unwrap();
        let keys = redis.cli(&["KEYS", "*"]);
        assert_eq!(keys.lines().count(), 6, "{keys}");
        for key in keys.lines().filter(|key| *key != "stockade:sessions") {
            let left: u64 = redis.cli(&["TTL", key]).trim().parse().unwrap_or_else(|_| panic!("{key} never ends"));
            let needed = if key.contains("session:") || key.contains("refresh:") { 86_400 } else { 900 };
            assert!(left > needed + 80_000 && left <= needed + 86_400, "{key}: {left}");
        }
        assert!(!redis.cli(&["KEYS", "*"]).contains("r0"));
        assert_eq!(store.purge(now + 10 * 86_400).await.unwrap(), 0, "it lives still");
        redis.cli(&["DEL", "stockade:session:ses_1"]);
        assert_eq!(store.purge(now + 10 * 86_400).await.unwrap(), 1);
        assert!(store.list_sessions(now).await.unwrap().is_empty());
    });
}

#[test]
#[ignore = "needs redis-server: tests/run.sh runs it"]
fn the_bundled_playbook_lets_the_gateway_do_all_it_needs_and_no_more() {
    let channels = ["{% if facts.os.codename != \"jammy\" %}", "{% endif %}"];
    let rules = include_str!("../../templates/redis/users.acl.tera").replace("{{ redis_password }}", "right");
    let rules = channels.iter().fold(rules, |rules, tag| rules.replace(tag, ""));
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), rules).unwrap();
    let redis = Redis::start_with(&["--aclfile", file.path().to_str().unwrap()]);
    run(async {
        let stranger = open(&redis.url()).await.unwrap();
        let error = stranger.health().await.unwrap_err().to_string();
        assert!(error.contains("NOAUTH") || error.to_lowercase().contains("auth"), "{error}");
        let store = open(&format!("redis://gateway:right@127.0.0.1:{}/0", redis.port)).await.unwrap();
        fifty_at_once(&[Arc::clone(&store)]).await;
        let now = unix_now();
        store.create_session(&session("ses_2", now), Some(&hash("s0"))).await.unwrap();
        assert_eq!(store.session_of(&hash("s0")).await.unwrap().as_deref(), Some("ses_2"));
        assert_eq!(store.list_sessions(now).await.unwrap().len(), 1);
        store.put_opaque(&hash("o"), &opaque_token("tok_1", "ses_2", now), now).await.unwrap();
        assert!(store.opaque(&hash("o"), now).await.unwrap().is_some());
        store.remember_tenant(&tenant("shop")).await.unwrap();
        assert_eq!(store.tenants().await.unwrap(), ["shop"]);
        let mut revocations = store.revocations();
        revocations.mark_unchanged();
        store.revoke_token("jti", now + 900, now).await.unwrap();
        tokio::time::timeout(PATIENCE, revocations.changed()).await.unwrap().unwrap();
        assert!(store.revoke_session("ses_2", now).await.unwrap());
        assert!(store.is_revoked(Some("ses_2"), "x").await.unwrap());
        assert_eq!(store.session("ses_2").await.unwrap().unwrap().revoked, Some(now));
        store.purge(now + 86_401).await.unwrap();
        for forbidden in [&["KEYS", "*"][..], &["FLUSHALL"], &["CONFIG", "GET", "*"], &["GET", "other"], &["SHUTDOWN"]]
        {
            let user = ["--user", "gateway", "--pass", "right", "--no-auth-warning"];
            let said = redis.cli(&[&user[..], forbidden].concat());
            assert!(said.contains("NOPERM"), "{forbidden:?}: {said}");
        }
    });
}
