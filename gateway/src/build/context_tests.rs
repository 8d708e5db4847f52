use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tar::{EntryType, Header};

use super::*;

type Outcome = Result<Vec<u8>, ContextError<String>>;

const RENDERED: &[u8] = b"FROM rendered\n";

fn options(dockerfile: &str) -> ContextOptions {
    let dockerfile = DockerfilePath::read(Some(dockerfile)).unwrap();
    ContextOptions { dockerfile, limit: 4 << 20, entries: 1000 }
}

/// Rewrites an archive that arrives in pieces; the Dockerfile seen, and the outcome.
fn rewritten(options: ContextOptions, body: &[u8], piece: usize) -> (Option<Vec<u8>>, Outcome) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (seen, see) = std::sync::mpsc::channel();
    let outcome = runtime.block_on(async {
        let (input, mut output) = rewrite(options, move |bytes| async move {
            seen.send(bytes).unwrap();
            Ok(RENDERED.to_vec())
        });
        let pieces: Vec<Bytes> = body.chunks(piece).map(Bytes::copy_from_slice).collect();
        let feed = tokio::spawn(async move {
            for piece in pieces {
                if !input.send(piece).await {
                    return;
                }
            }
            input.finish().await;
        });
        let mut whole = Vec::new();
        let outcome = loop {
            match output.next().await {
                Some(Ok(piece)) => whole.extend_from_slice(&piece),
                Some(Err(error)) => break Err(error),
                None => break Ok(whole),
            }
        };
        assert!(output.next().await.is_none(), "nothing follows the end");
        feed.await.unwrap();
        outcome
    });
    (see.try_recv().ok(), outcome)
}

fn plainly(body: &[u8]) -> (Option<Vec<u8>>, Outcome) {
    rewritten(options(""), body, 1000)
}

fn message(body: &[u8]) -> String {
    match plainly(body) {
        (_, Err(ContextError::Refused(message))) => message,
        (_, other) => panic!("{other:?}"),
    }
}

/// One entry of an archive made for a test.
fn entry(kind: EntryType, path: &str, link: &str, data: &[u8]) -> Vec<u8> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
    header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    header.set_mode(0o754);
    header.set_uid(12);
    header.set_gid(13);
    header.set_mtime(1_000_000);
    header.set_size(data.len() as u64);
    header.set_cksum();
    let mut all = header.as_bytes().to_vec();
    all.extend_from_slice(data);
    all.resize(all.len().next_multiple_of(512), 0);
    all
}

fn file(path: &str, data: &[u8]) -> Vec<u8> {
    entry(EntryType::Regular, path, "", data)
}

fn pax(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    archive.append_pax_extensions(records.iter().copied()).unwrap();
    let mut all = archive.into_inner().unwrap();
    all.truncate(all.len() - 1024);
    all
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut all = entries.concat();
    all.resize(all.len() + 1024, 0);
    all
}

fn gzip(data: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

#[derive(Debug, PartialEq)]
struct Read1 {
    path: String,
    kind: EntryType,
    link: String,
    data: Vec<u8>,
    mode: u32,
    ids: (u64, u64),
    mtime: u64,
    pax: Vec<(String, Vec<u8>)>,
}

fn read(archive: &[u8]) -> Vec<Read1> {
    let mut archive = tar::Archive::new(archive);
    let read = |entry: io::Result<tar::Entry<'_, &[u8]>>| {
        let mut entry = entry.unwrap();
        let mut data = Vec::new();
        entry.read_to_end(&mut data).unwrap();
        let pax = entry.pax_extensions().unwrap().into_iter().flatten().filter_map(Result::ok);
        let pax = pax.map(|record| (record.key().unwrap().to_owned(), record.value_bytes().to_vec())).collect();
        let header = entry.header();
        Read1 {
            path: String::from_utf8(entry.path_bytes().into_owned()).unwrap(),
            kind: header.entry_type(),
            link: entry.link_name_bytes().map(|link| String::from_utf8(link.into_owned()).unwrap()).unwrap_or_default(),
            data,
            mode: header.mode().unwrap(),
            ids: (header.uid().unwrap(), header.gid().unwrap()),
            mtime: header.mtime().unwrap(),
            pax,
        }
    };
    archive.entries().unwrap().map(read).collect()
}

#[test]
fn an_archive_is_written_anew_with_the_rendered_dockerfile_last() {
    let body = archive(&[
        entry(EntryType::Directory, "./", "", b""),
        entry(EntryType::Directory, "./d//e/", "", b""),
        file("./d/./x", b"data"),
        entry(EntryType::Symlink, "l", "/../etc/passwd", b""),
        entry(EntryType::Link, "h", "./d/x", b""),
        file("Dockerfile", b"FROM one"),
        file("old/", b""),
        file("./Dockerfile", b"FROM two"),
    ]);
    for piece in [1, 7, 512, 5000, usize::MAX] {
        let (seen, outcome) = rewritten(options("./Dockerfile"), &body, piece.min(body.len()));
        assert_eq!(seen.as_deref(), Some(&b"FROM two"[..]));
        let all = outcome.unwrap();
        assert!(all.starts_with(b"./\0"), "the first bytes are not the client's");
        assert!(all.ends_with(&[0; 1024]));
        let entries = read(&all);
        let brief: Vec<_> = entries.iter().map(|e| (e.path.as_str(), e.kind, e.link.as_str(), &e.data[..])).collect();
        assert_eq!(
            brief,
            [
                ("./", EntryType::Directory, "", &b""[..]),
                ("d/e/", EntryType::Directory, "", b""),
                ("d/x", EntryType::Regular, "", b"data"),
                ("l", EntryType::Symlink, "/../etc/passwd", b""),
                ("h", EntryType::Link, "d/x", b""),
                ("Dockerfile", EntryType::Regular, "", b"FROM one"),
                ("old/", EntryType::Directory, "", b""),
                ("Dockerfile", EntryType::Regular, "", b"FROM two"),
                ("Dockerfile", EntryType::Regular, "", RENDERED),
            ]
        );
        assert_eq!((entries[2].mode, entries[2].ids, entries[2].mtime), (0o754, (12, 13), 1_000_000));
        assert_eq!((entries[8].mode, entries[8].ids, entries[8].mtime), (0o644, (0, 0), 1_000_000));
    }
}

#[test]
fn long_names_great_numbers_and_file_capabilities_are_kept() {
    let long = format!("{}/{}", "d".repeat(120), "é".repeat(100));
    let target = "t".repeat(300);
    let capability = b"\x01\0\0\x02\0\x20\n=\0\0\0\0\0\0\0\0\0\0\0\0";
    let mut great = Header::new_gnu();
    great.set_size(0);
    great.set_mode(0o4755);
    great.set_uid(5_000_000);
    great.set_gid(6_000_000);
    great.set_mtime(99_999_999_999);
    great.as_old_mut().name[0] = b'g';
    great.set_cksum();
    let body = archive(&[
        entry(EntryType::GNULongName, "L", "", format!("{long}\0").as_bytes()),
        file("cut", b"gnu"),
        pax(&[
            ("path", long.as_bytes()),
            ("SCHILY.xattr.security.capability", capability),
            ("SCHILY.xattr.user.x", b"y"),
        ]),
        file("cut", b"pax"),
        entry(EntryType::GNULongLink, "K", "", format!("{target}\0").as_bytes()),
        entry(EntryType::Symlink, "s", "cut", b""),
        pax(&[("linkpath", target.as_bytes()), ("uid", b"7"), ("mtime", b"77.5")]),
        entry(EntryType::Link, "k", "cut", b""),
        great.as_bytes().to_vec(),
        entry(EntryType::XGlobalHeader, "g", "", b"12 comment=\n"),
        pax(&[("mtime", b"-5.5"), ("path", b"")]),
        file("dockerfile", b"FROM low"),
    ]);
    let (seen, outcome) = plainly(&body);
    assert_eq!(seen.as_deref(), Some(&b"FROM low"[..]));
    let all = outcome.unwrap();
    let entries = read(&all);
    assert_eq!((entries[1].path.as_str(), &entries[1].data[..]), (long.as_str(), &b"gnu"[..]));
    assert_eq!((entries[2].path.as_str(), &entries[2].data[..]), (long.as_str(), &b"pax"[..]));
    // The tar crate does not read values with a line feed; Go does.
    let record = [b"57 SCHILY.xattr.security.capability=", &capability[..], b"\n"].concat();
    assert_eq!(record.len(), 57);
    assert!(all.windows(record.len()).any(|window| window == record));
    assert_eq!(entries[2].pax[0].0, "path");
    assert_eq!((entries[3].link.as_str(), entries[4].link.as_str()), (target.as_str(), target.as_str()));
    assert_eq!((entries[4].ids, entries[4].mtime), ((7, 13), 77));
    assert_eq!((entries[5].mode, entries[5].ids), (0o4755, (5_000_000, 6_000_000)));
    assert_eq!(entries[5].pax.last().unwrap(), &("mtime".to_owned(), b"99999999999".to_vec()));
    assert_eq!((entries[6].path.as_str(), entries[6].mtime), ("dockerfile", 0));
    // Under the name that the daemon looks for first.
    assert_eq!((entries[7].path.as_str(), &entries[7].data[..]), ("Dockerfile", RENDERED));
}

#[test]
fn gzip_is_read_as_go_does_and_other_compressors_are_refused() {
    let body = archive(&[file("Dockerfile", b"FROM a"), file("x", &[7; 100_000])]);
    let (front, back) = body.split_at(700);
    for whole in [gzip(&body), [gzip(front), gzip(b""), gzip(back)].concat()] {
        for piece in [1, 4096] {
            let (seen, outcome) = rewritten(options(""), &whole, piece);
            assert_eq!(seen.as_deref(), Some(&b"FROM a"[..]));
            assert_eq!(read(&outcome.unwrap()).len(), 4);
        }
    }
    let whole = gzip(&body);
    assert!(message(&whole[..whole.len() - 1]).contains("decompressed"));
    let mut broken = whole.clone();
    *broken.last_mut().unwrap() ^= 1;
    assert!(message(&broken).contains("decompressed"));
    assert!(message(&[whole, b"junk".to_vec()].concat()).contains("decompressed"));
    for (magic, name) in [(&b"BZh91AY&SY"[..], "bzip2"), (b"\xfd7zXZ\0\0", "xz"), (b"\x28\xb5\x2f\xfd\0\0", "zstd")] {
        assert!(message(magic).contains(name));
    }
    // An archive inside another is none.
    assert!(message(&gzip(&gzip(&body))).contains("tar archive"));
}

#[test]
fn too_much_is_refused_compressed_or_not() {
    let large = archive(&[file("Dockerfile", b"FROM a"), file("x", &vec![0; 5 << 20])]);
    assert_eq!(plainly(&large).1, Err(ContextError::TooLarge));
    let bomb = gzip(&vec![0; 16 << 20]);
    assert!(bomb.len() < 100_000);
    let first = archive(&[file("x", &vec![0; 3 << 20])]);
    assert_eq!(plainly(&gzip(&large)).1, Err(ContextError::TooLarge));
    assert_eq!(plainly(&[gzip(&first), bomb].concat()).1, Err(ContextError::TooLarge));
    // Members without contents decompress to nothing for ever.
    let small = ContextOptions { limit: 200_000, ..options("") };
    assert_eq!(rewritten(small, &gzip(b"").repeat(15_000), 1000).1, Err(ContextError::TooLarge));
    let many: Vec<_> = (0..1001).map(|n| file(&format!("f{n}"), b"")).collect();
    assert!(message(&archive(&many)).contains("1000 entries"));
    assert!(message(&archive(&[file("Dockerfile", &vec![b'#'; (1 << 20) + 1])])).contains("1 MiB"));
    assert!(message(&archive(&[entry(EntryType::XHeader, "x", "", &[b'0'; 70_000])])).contains("64 KiB"));
    assert!(message(&archive(&[entry(EntryType::GNULongName, "x", "", &[b'a'; 70_000])])).contains("64 KiB"));
}

#[test]
fn a_context_without_a_dockerfile_of_its_own_is_refused() {
    let dockerfile = || file("Dockerfile", b"FROM a");
    for entries in [
        vec![file("x", b"")],
        vec![entry(EntryType::Symlink, "Dockerfile", "x", b"")],
        vec![dockerfile(), entry(EntryType::Symlink, "./Dockerfile", "x", b"")],
        vec![file("x", b"FROM a"), entry(EntryType::Link, "Dockerfile", "x", b"")],
        vec![dockerfile(), entry(EntryType::Directory, "Dockerfile", "", b"")],
        vec![entry(EntryType::Symlink, "Dockerfile", "nowhere", b""), file("dockerfile", b"FROM a")],
        vec![entry(EntryType::Symlink, "dockerfile", "x", b"")],
        vec![dockerfile(), entry(EntryType::Symlink, "./", "x", b"")],
    ] {
        let body = archive(&entries);
        let (seen, outcome) = plainly(&body);
        assert!(seen.is_none() && matches!(outcome, Err(ContextError::Refused(_))), "{outcome:?}");
    }
    for other in [
        entry(EntryType::Symlink, "d", "e", b""),
        entry(EntryType::Symlink, "d/e", "x", b""),
        file("d", b""),
        entry(EntryType::Link, "d/e/", "x", b""),
    ] {
        let body = archive(&[file("d/e/Prod", b"FROM a"), other]);
        assert!(matches!(rewritten(options("d/e/Prod"), &body, 512).1, Err(ContextError::Refused(_))));
    }
    let body = archive(&[entry(EntryType::Directory, "d", "", b""), file("d/e/Prod", b"FROM a"), dockerfile()]);
    let (seen, outcome) = rewritten(options("d//e/./Prod"), &body, 512);
    assert_eq!(seen.as_deref(), Some(&b"FROM a"[..]));
    assert_eq!(read(&outcome.unwrap()).last().unwrap().path, "d/e/Prod");
    for path in ["..", "../Dockerfile", "a/../../b", ".", "/", "a\nb"] {
        assert_eq!(DockerfilePath::read(Some(path)), None, "{path:?}");
    }
    assert_eq!(DockerfilePath::read(None).unwrap().as_str(), "Dockerfile");
}

#[test]
fn what_is_no_plain_archive_is_refused() {
    let dockerfile = file("Dockerfile", b"FROM a");
    let with = |entry: Vec<u8>| archive(&[dockerfile.clone(), entry]);
    for (body, want) in [
        (Vec::new(), "no end marker"),
        (b"FROM a\n".to_vec(), "tar archive"),
        (vec![b'x'; 2000], "checksum"),
        (dockerfile.clone(), "no end marker"),
        (with(file("x", b"y"))[..1030].to_vec(), "inside a header"),
        (with(file("x", b"y"))[..1536].to_vec(), "cut off"),
        (with(entry(EntryType::XHeader, "x", "", b"")), "after an extension"),
        (with(file("/etc/x", b"")), "absolute"),
        (with(file("../x", b"")), "\"..\""),
        (with(file("a/../x", b"")), "\"..\""),
        (with(entry(EntryType::Link, "x", "../y", b"")), "\"..\""),
        (with(entry(EntryType::Link, "x", "/y", b"")), "absolute"),
        (with(entry(EntryType::Link, "x", "", b"")), "path"),
        (with(entry(EntryType::Symlink, "x", "", b"")), "target"),
        (with(entry(EntryType::Char, "x", "", b"")), "devices"),
        (with(entry(EntryType::Block, "x", "", b"")), "devices"),
        (with(entry(EntryType::Fifo, "x", "", b"")), "devices"),
        (with(entry(EntryType::GNUSparse, "x", "", b"")), "sparse"),
        (with(entry(EntryType::Continuous, "x", "", b"")), "devices"),
        (with(entry(EntryType::new(b'V'), "x", "", b"")), "devices"),
        (with(entry(EntryType::Symlink, "x", "y", b"data")), "has data"),
        (with(entry(EntryType::Directory, "x", "", b"data")), "has data"),
        (with([pax(&[("size", b"5")]), file("x", b"y")].concat()), "twice"),
        (with([pax(&[("GNU.sparse.major", b"1")]), file("x", b"y")].concat()), "sparse"),
        (with([pax(&[("path", b"a\0b")]), file("x", b"y")].concat()), "path"),
        (with([pax(&[("uid", b"-1")]), file("x", b"y")].concat()), "number"),
        (with(entry(EntryType::XGlobalHeader, "g", "", b"10 path=x\n")), "global"),
        (with(entry(EntryType::XHeader, "x", "", b"99 path=x\n")), "malformed"),
        ([archive(std::slice::from_ref(&dockerfile)), dockerfile.clone()].concat(), "follows"),
        ([archive(std::slice::from_ref(&dockerfile)), vec![1]].concat(), "follows"),
    ] {
        let found = message(&body);
        assert!(found.contains(want), "{want}: {found}");
    }
    // Empty numbers are 0.
    let mut bare = Header::new_old();
    bare.as_old_mut().name[0] = b'x';
    bare.set_cksum();
    assert!(plainly(&archive(&[bare.as_bytes().to_vec(), dockerfile.clone()])).1.is_ok());
    // Archives are padded with any number of zeros.
    assert!(plainly(&[archive(std::slice::from_ref(&dockerfile)), vec![0; 9000]].concat()).1.is_ok());
    assert!(plainly(&[dockerfile.clone(), vec![0; 512]].concat()).1.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn an_error_never_looks_like_a_whole_archive() {
    let body = archive(&[file("x", &vec![b'x'; 200_000]), file("Dockerfile", b"FROM other/app")]);
    let (input, mut output) = rewrite(options(""), |_| async { Err::<Vec<u8>, _>("not yours") });
    input.send(body.clone().into()).await;
    input.finish().await;
    let mut whole = Vec::new();
    let error = loop {
        match output.next().await.unwrap() {
            Ok(piece) => whole.extend_from_slice(&piece),
            Err(error) => break error,
        }
    };
    assert_eq!(error, ContextError::Dockerfile("not yours"));
    assert!(whole.len() > 200_000 && !whole.ends_with(&[0; 1024]));
    // A client that goes away, before or after the end of its archive.
    for cut in [100_000, body.len()] {
        let (input, mut output) = rewrite(options(""), |_| async { Ok::<_, String>(RENDERED.to_vec()) });
        input.send(Bytes::copy_from_slice(&body[..cut])).await;
        drop(input);
        let last = loop {
            match output.next().await {
                Some(Ok(_)) => {}
                last => break last,
            }
        };
        assert_eq!(last, Some(Err(ContextError::Aborted)));
    }
    // A callback that panics.
    let (input, mut output) = rewrite(options(""), |bytes| async move {
        if bytes.is_empty() { Ok::<_, String>(bytes) } else { panic!("as the test wants") }
    });
    input.send(body.clone().into()).await;
    input.finish().await;
    let last = loop {
        match output.next().await {
            Some(Ok(_)) => {}
            last => break last,
        }
    };
    assert_eq!(last, Some(Err(ContextError::Lost)));
    // Nobody takes the output: the input says so instead of waiting for ever.
    let (input, output) = rewrite(options(""), |_| async { Ok::<_, String>(RENDERED.to_vec()) });
    drop(output);
    while input.send(body.clone().into()).await {}
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn a_broken_archive_is_refused_or_ends_with_the_rendered_dockerfile(
        at in 0_usize..4000, byte in any::<u8>(), cut in 0_usize..6000, piece in 1_usize..600,
    ) {
        let mut body = archive(&[
            file("a", &[1; 700]), pax(&[("path", b"b")]), file("x", b"y"), entry(EntryType::Symlink, "l", "a", b""),
            file("Dockerfile", b"FROM a"),
        ]);
        let at = at % body.len();
        body[at] = byte;
        body.truncate(cut.max(1));
        if let (_, Ok(all)) = rewritten(options(""), &body, piece) {
            let entries = read(&all);
            let last = entries.last().unwrap();
            prop_assert_eq!((last.path.as_str(), &last.data[..]), ("Dockerfile", RENDERED));
        }
    }
}
