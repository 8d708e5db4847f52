//! `keygen`: an SSH key pair on this machine, for a user of the hosts.
//!
//! The private half never leaves this machine and is never overwritten. With a
//! passphrase it is encrypted in OpenSSH's own format (PROTOCOL.key: aes256-ctr
//! under a key that bcrypt derives in many rounds); without one it is written
//! only if that was asked for in so many words.

use super::Exit;
use crate::report::{Console, TerminalAsk};
use crate::transport::Ask;
use crate::values::{PublicKey, Secret};
use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use ssh_key::private::{Ed25519Keypair, KeypairData, RsaKeypair, RsaPrivateKey};
use ssh_key::{Cipher, Kdf, LineEnding, Mpint, PrivateKey, public::RsaPublicKey};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// `stockade keygen …`
#[derive(Debug, Args)]
pub struct KeygenArgs {
    /// Where the private key goes; the public one gets the same name with '.pub'.
    path: PathBuf,
    /// The type of the key.
    #[arg(long = "type", value_enum, default_value_t = KeyType::Ed25519)]
    key_type: KeyType,
    /// The comment in the public key [default: the file's name]
    #[arg(long)]
    comment: Option<String>,
    /// Rounds of the derivation (bcrypt) that makes guessing the passphrase slow.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    rounds: u32,
    /// A file whose first line is the passphrase.
    #[arg(long, value_name = "FILE", conflicts_with = "no_passphrase")]
    passphrase_file: Option<PathBuf>,
    /// Writes the private key unencrypted: whoever reads the file has the key.
    #[arg(long)]
    no_passphrase: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum KeyType {
    /// Short and fast; the right choice unless something old must read it.
    Ed25519,
    /// 4096 bits.
    Rsa,
}

/// Bits of a new RSA key.
const RSA_BITS: u32 = 4096;

/// Makes the pair.
///
/// # Errors
/// A file is there already or cannot be written, or there is no passphrase.
pub fn run(args: &KeygenArgs, console: &mut Console) -> anyhow::Result<Exit> {
    let public_path = public_path(&args.path)?;
    for path in [&args.path, &public_path] {
        if path.symlink_metadata().is_ok() {
            bail!("{} is there already and is not overwritten; choose another name", path.display());
        }
    }
    let passphrase = passphrase(args, console)?;
    let key = make(args.key_type, &comment(args)?)?;
    let public: PublicKey = key.public_key().to_openssh()?.parse().context("the new key cannot be read back")?;
    let key = match &passphrase {
        Some(passphrase) => encrypt(&key, passphrase, args.rounds)?,
        None => key,
    };
    let private_text = key.to_openssh(LineEnding::LF).context("the new key cannot be written down")?;
    write_new(&args.path, 0o600, private_text.as_bytes())?;
    if let Err(error) = write_new(&public_path, 0o644, format!("{public}\n").as_bytes()) {
        // Half a pair would stand in the way of the next try; it is this run's own file.
        let _ = fs::remove_file(&args.path);
        return Err(error);
    }
    console.line(&format!("private key  {}", args.path.display()));
    console.line(&format!("public key   {}", public_path.display()));
    console.line(&format!("fingerprint  {} ({})", public.fingerprint(), public.algorithm()));
    if passphrase.is_none() {
        console.remark("the private key is not encrypted: whoever reads the file has the key");
    }
    Ok(Exit::Done)
}

fn public_path(path: &Path) -> anyhow::Result<PathBuf> {
    let Some(name) = path.file_name() else {
        bail!("{} is not the name of a file; give one, such as keys/deploy", path.display());
    };
    let mut name = name.to_owned();
    name.push(".pub");
    Ok(path.with_file_name(name))
}

fn comment(args: &KeygenArgs) -> anyhow::Result<String> {
    let name = || args.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let comment = args.comment.clone().unwrap_or_else(name);
    if comment.chars().any(char::is_control) {
        bail!("the comment must be one line without control characters");
    }
    Ok(comment)
}

/// The passphrase; none if the key is to be unencrypted.
fn passphrase(args: &KeygenArgs, console: &mut Console) -> anyhow::Result<Option<Secret>> {
    if args.no_passphrase {
        return Ok(None);
    }
    let Some(path) = &args.passphrase_file else {
        return ask(&args.path).map(Some);
    };
    let file = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("the passphrase file {file} cannot be read"))?;
    let line = text.lines().next().unwrap_or_default();
    if line.is_empty() {
        bail!("the first line of {file} is empty; write the passphrase there (or use --no-passphrase)");
    }
    if fs::metadata(path).is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o077 != 0) {
        console.remark(&format!("others on this machine may read {file}; chmod 600 it"));
    }
    Ok(Some(Secret::new(line)))
}

/// The passphrase, asked twice at the terminal.
fn ask(path: &Path) -> anyhow::Result<Secret> {
    let terminal = TerminalAsk::new();
    let prompt = format!("Passphrase for the new key {}", path.display());
    let Some(first) = terminal.secret(&prompt) else {
        bail!(
            "a passphrase is needed: type one at a terminal or give --passphrase-file FILE \
             (--no-passphrase if the key may be unencrypted)"
        );
    };
    match terminal.secret("The same passphrase again") {
        Some(second) if second == first => Ok(first),
        _ => bail!("the two passphrases differ; nothing was written"),
    }
}

fn make(key_type: KeyType, comment: &str) -> anyhow::Result<PrivateKey> {
    let pair = match key_type {
        KeyType::Ed25519 => KeypairData::from(Ed25519Keypair::random(&mut ssh_key::rand_core::OsRng)),
        KeyType::Rsa => KeypairData::from(rsa()?),
    };
    PrivateKey::new(pair, comment).context("the key cannot be made")
}

/// An RSA pair by OpenSSL, in OpenSSH's types.
fn rsa() -> anyhow::Result<RsaKeypair> {
    let key = openssl::rsa::Rsa::generate(RSA_BITS).context("OpenSSL cannot make an RSA key")?;
    let number = |n: &openssl::bn::BigNumRef| Mpint::from_positive_bytes(&n.to_vec());
    let (Some(p), Some(q), Some(iqmp)) = (key.p(), key.q(), key.iqmp()) else {
        bail!("OpenSSL made an RSA key without its factors");
    };
    Ok(RsaKeypair {
        public: RsaPublicKey { e: number(key.e())?, n: number(key.n())? },
        private: RsaPrivateKey { d: number(key.d())?, iqmp: number(iqmp)?, p: number(p)?, q: number(q)? },
    })
}

fn encrypt(key: &PrivateKey, passphrase: &Secret, rounds: u32) -> anyhow::Result<PrivateKey> {
    let mut salt = vec![0; 16];
    let mut check = [0; 4];
    getrandom::fill(&mut salt)
        .and_then(|()| getrandom::fill(&mut check))
        .context("the system gives no random bytes")?;
    let kdf = Kdf::Bcrypt { salt, rounds };
    key.encrypt_with(Cipher::Aes256Ctr, kdf, u32::from_be_bytes(check), passphrase.expose())
        .context("the private key cannot be encrypted")
}

/// Writes a file that must not be there yet.
fn write_new(path: &Path, mode: u32, content: &[u8]) -> anyhow::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .with_context(|| format!("{} cannot be made", path.display()))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written.with_context(|| format!("{} cannot be written", path.display()))
}
