//! The image hosts are started from: a base, the packages of a server, and the
//! recipe under `recipe/` on top.
//!
//! An image is cached in the engine under a name that contains the digest of
//! everything it was made from, so a changed recipe is a new image and an
//! unchanged one is never built twice; not even by two processes at once,
//! which a file lock keeps apart. `docker image prune --all --filter
//! label=stockade.lab.image` removes what is unused.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::engine::Engine;
use super::names::{Base, HostProfile};
use super::process::{self, Input};
use super::{LabError, sources};
use crate::values::sha256;

/// What every host has, as an Ubuntu cloud image would.
const PACKAGES: [&str; 16] = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "openssh-server",
    "sudo",
    "iproute2",
    "ca-certificates",
    "curl",
    "procps",
    "kmod",
    "ufw",
    "iptables",
    "iputils-ping",
    "less",
    "tzdata",
];

/// The files of the build, by their name in it.
const RECIPE: [(&str, &str); 8] = [
    ("Dockerfile", include_str!("recipe/Dockerfile")),
    ("recipe/build.sh", include_str!("recipe/build.sh")),
    ("recipe/dress-ubuntu.sh", include_str!("recipe/dress-ubuntu.sh")),
    ("recipe/sshd-socket-generator.sh", include_str!("recipe/sshd-socket-generator.sh")),
    ("recipe/init.sh", include_str!("recipe/init.sh")),
    ("recipe/boot.sh", include_str!("recipe/boot.sh")),
    ("recipe/stockade-lab-boot.service", include_str!("recipe/stockade-lab-boot.service")),
    ("recipe/sysctl.conf", include_str!("recipe/sysctl.conf")),
];

/// The default base where an image registry can be reached.
const DEFAULT_IMAGE: &str = "ubuntu:24.04";
/// The default base everywhere else.
const DEFAULT_SUITE: &str = "bookworm";

/// Building a tree or an image downloads packages, on slow lines too.
const BUILD: Duration = Duration::from_secs(1800);
/// The time an image that was asked for may take to arrive.
const PULL: Duration = Duration::from_secs(900);
/// The time the default image may take before the fallback is used.
const PULL_DEFAULT: Duration = Duration::from_secs(90);

/// An image that is ready to be run.
pub(crate) struct Image {
    /// Its name in the engine.
    pub(crate) reference: String,
    /// The base it was made from.
    pub(crate) base: Base,
}

/// Makes sure that the image for `base` and `profile` exists, and returns it.
///
/// Without a base the default image is used if it is there or can be pulled,
/// and otherwise a debootstrapped tree; `notices` then says so.
///
/// # Errors
/// When the base cannot be had or the image cannot be built.
pub(crate) fn ensure(
    engine: &Engine,
    base: Option<&Base>,
    profile: HostProfile,
    say: &mut dyn FnMut(&str),
    notices: &mut Vec<String>,
) -> Result<Image, LabError> {
    let base = match base {
        Some(base) => base.clone(),
        None => default_base(engine, say, notices)?,
    };
    let reference = match &base {
        Base::Image(image) => from_image(engine, image, profile, say)?,
        Base::Suite(suite) => from_suite(engine, suite, profile, say)?,
    };
    Ok(Image { reference, base })
}

fn default_base(engine: &Engine, say: &mut dyn FnMut(&str), notices: &mut Vec<String>) -> Result<Base, LabError> {
    let image = Base::Image(DEFAULT_IMAGE.to_owned());
    if engine.image_id(DEFAULT_IMAGE)?.is_some() {
        return Ok(image);
    }
    say(&format!("pulling {DEFAULT_IMAGE}"));
    match engine.output(&["pull", "--quiet", DEFAULT_IMAGE], Input::Null, PULL_DEFAULT) {
        Ok(output) if output.status.success() => return Ok(image),
        Ok(_) | Err(LabError::TimedOut { .. }) => {}
        Err(error) => return Err(error),
    }
    let suite = Base::Suite(DEFAULT_SUITE.to_owned());
    notices.push(format!(
        "no image registry could be reached for {DEFAULT_IMAGE}: using --base {suite}, built from this machine's apt mirror"
    ));
    Ok(suite)
}

fn from_image(
    engine: &Engine,
    image: &str,
    profile: HostProfile,
    say: &mut dyn FnMut(&str),
) -> Result<String, LabError> {
    if engine.image_id(image)?.is_none() {
        say(&format!("pulling {image}"));
        let output = engine.output(&["pull", "--quiet", image], Input::Null, PULL)?;
        if !output.status.success() {
            return Err(LabError::Engine { action: format!("pull {image}"), detail: process::tail(&output, 3) });
        }
    }
    // The image's id, not its name, goes into the digest: `ubuntu:24.04` moves.
    let id = engine.image_id(image)?.unwrap_or_default();
    let base = Base::Image(image.to_owned());
    let reference = cached_name(&base, "", &[&id, "image", profile.word()]);
    once(engine, &reference, |engine| {
        say(&format!("building the image for {base} (once)"));
        build(engine, &base, image, "image", profile, &reference)
    })?;
    Ok(reference)
}

fn from_suite(
    engine: &Engine,
    suite: &str,
    profile: HostProfile,
    say: &mut dyn FnMut(&str),
) -> Result<String, LabError> {
    let base = Base::Suite(suite.to_owned());
    let mirror = sources::mirror(Path::new("/etc/apt"), suite);
    let include = PACKAGES.join(",");
    let tree = cached_name(&base, "-tree", &[&include, mirror.as_deref().unwrap_or_default()]);
    let reference = cached_name(&base, "", &[&tree, "tree", profile.word()]);
    once(engine, &reference, |engine| {
        if engine.image_id(&tree)?.is_none() {
            say(&format!("building the tree for {base} (once, about half a minute)"));
            debootstrap(engine, &base, suite, mirror.as_deref(), &tree)?;
        }
        say(&format!("building the image for {base} (once)"));
        build(engine, &base, &tree, "tree", profile, &reference)
    })?;
    Ok(reference)
}

/// Runs `make` under the build lock, unless the image is there by then.
fn once(engine: &Engine, reference: &str, make: impl FnOnce(&Engine) -> Result<(), LabError>) -> Result<(), LabError> {
    if engine.image_id(reference)?.is_some() {
        return Ok(());
    }
    let path = lock_path()?;
    let lock = File::create(&path).map_err(LabError::file(&path))?;
    lock.lock().map_err(LabError::file(&path))?;
    if engine.image_id(reference)?.is_some() {
        return Ok(());
    }
    make(engine)
    // The lock ends with the file handle.
}

/// One lock for a user's builds on this machine.
fn lock_path() -> Result<PathBuf, LabError> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let cache = absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .unwrap_or_else(std::env::temp_dir)
        .join("stockade");
    fs::create_dir_all(&cache).map_err(LabError::file(&cache))?;
    Ok(cache.join("lab-image.lock"))
}

/// `stockade-lab/<base><suffix>:<digest of the parts, and of the recipe>`.
fn cached_name(base: &Base, suffix: &str, parts: &[&str]) -> String {
    let name: String = base
        .to_string()
        .to_ascii_lowercase()
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-");
    let mut text = String::new();
    let recipe = if suffix.is_empty() { &RECIPE[..] } else { &[] };
    for (name, content) in recipe {
        text.push_str(&format!("{name}\0{content}\0"));
    }
    for part in PACKAGES.iter().chain(parts) {
        text.push_str(part);
        text.push('\0');
    }
    format!("stockade-lab/{name}{suffix}:{}", &sha256(text.as_bytes())[..12])
}

/// Builds the tree of a suite and imports it as the image `tree`.
fn debootstrap(engine: &Engine, base: &Base, suite: &str, mirror: Option<&str>, tree: &str) -> Result<(), LabError> {
    let temporary = std::env::temp_dir();
    let dir = tempfile::Builder::new().prefix("stockade-lab-").tempdir().map_err(LabError::file(&temporary))?;
    let tar = dir.path().join("tree.tar");
    let mut command = Command::new("mmdebstrap");
    command.args(["--variant=minbase", "--format=tar"]).arg(format!("--include={}", PACKAGES.join(",")));
    command.arg(suite).arg(&tar).args(mirror);
    let output = process::run(command, Input::Null, BUILD).map_err(|error| match error {
        LabError::Spawn { source, .. } if source.kind() == ErrorKind::NotFound => LabError::MmdebstrapMissing,
        other => other,
    })?;
    if !output.status.success() {
        return Err(LabError::ImageBuild { base: base.to_string(), detail: process::tail(&output, 15) });
    }
    let file = File::open(&tar).map_err(LabError::file(&tar))?;
    let label = "LABEL stockade.lab.image=tree";
    let output = engine.output(&["import", "--change", label, "-", tree], Input::File(file), BUILD)?;
    if !output.status.success() {
        return Err(LabError::ImageBuild { base: base.to_string(), detail: process::tail(&output, 15) });
    }
    Ok(())
}

/// Runs the recipe on the image `from`; `source` says what it is.
fn build(
    engine: &Engine,
    base: &Base,
    from: &str,
    source: &str,
    profile: HostProfile,
    reference: &str,
) -> Result<(), LabError> {
    let context = context().map_err(LabError::file(Path::new("the build context")))?;
    let variables = [
        format!("BASE={from}"),
        format!("SOURCE={source}"),
        format!("DRESS={}", profile.word()),
        format!("PACKAGES={}", PACKAGES.join(" ")),
    ];
    let mut args = vec!["build", "--force-rm", "--label", "stockade.lab.image=host", "--tag", reference];
    for variable in &variables {
        args.extend(["--build-arg", variable]);
    }
    args.push("-");
    let output = engine.output(&args, Input::Bytes(&context), BUILD)?;
    if !output.status.success() {
        return Err(LabError::ImageBuild { base: base.to_string(), detail: process::tail(&output, 15) });
    }
    Ok(())
}

/// The recipe as the tar archive that `docker build -` reads.
fn context() -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(Vec::new());
    for (name, content) in RECIPE {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        archive.append_data(&mut header, name, content.as_bytes())?;
    }
    archive.into_inner()
}

#[cfg(test)]
#[path = "image_tests.rs"]
mod tests;
