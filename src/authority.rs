//! A certificate authority of the operator's own: a folder with the
//! authority's certificate and key, and one certificate and key a host.
//!
//! ```text
//! DIR/ca.crt   DIR/ca.key (0600)   DIR/hosts/NAME.crt   DIR/hosts/NAME.key (0600)
//! ```
//!
//! What must hold: a private key is readable by its owner alone from the moment
//! it exists, and nothing that is there is overwritten unless that was asked
//! for. The authority signs certificates of servers only (RFC 5280, 4.2.1.9 and
//! 4.2.1.12): no authority below it, no names beside those given.

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SerialNumber, date_time_ymd,
};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

/// How long an authority is good for, in days.
pub const AUTHORITY_DAYS: u32 = 3650;
/// How long a host's certificate is good for unless said otherwise, in days.
pub const HOST_DAYS: u32 = 397;
/// A certificate that ends within these days is issued anew.
const RENEW_DAYS: u32 = 30;

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    /// A file is in the way, missing, or cannot be read or written.
    #[error("{}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        why: String,
    },
    /// A name that cannot stand in a certificate.
    #[error("'{0}' is neither a host's name nor an IP address")]
    Name(String),
    /// The certificate could not be made.
    #[error("the certificate cannot be made: {0}")]
    Make(String),
}

fn make(error: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::Make(error.to_string())
}

fn file(path: &Path, why: impl std::fmt::Display) -> AuthorityError {
    AuthorityError::File { path: path.to_owned(), why: why.to_string() }
}

/// The folder of an authority.
#[derive(Debug, Clone)]
pub struct Authority {
    folder: PathBuf,
}

/// What became of a host's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Issued {
    /// There is one, it has all the names and it is good for a while.
    Kept(PathBuf),
    /// It was made.
    Made(PathBuf),
}

impl Authority {
    /// The authority in a folder, whether it is there yet or not.
    pub fn at(folder: impl Into<PathBuf>) -> Authority {
        Authority { folder: folder.into() }
    }

    /// Its certificate, which clients trust.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    fn key(&self) -> PathBuf {
        self.folder.join("ca.key")
    }

    /// Makes the authority; `name` is shown in its certificate.
    ///
    /// # Errors
    /// There is one already, or the folder cannot be written.
    pub fn init(&self, name: &str) -> Result<(), AuthorityError> {
        for path in [self.certificate(), self.key()] {
            if path.symlink_metadata().is_ok() {
                return Err(file(&path, "is there already and is not overwritten; choose another folder"));
            }
        }
        private_folder(&self.folder)?;
        let key = KeyPair::generate().map_err(make)?;
        let mut params = params(Vec::new(), name, AUTHORITY_DAYS)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let certificate = params.self_signed(&key).map_err(make)?;
        write(&self.key(), 0o600, key.serialize_pem().as_bytes())?;
        write(&self.certificate(), 0o644, certificate.pem().as_bytes())
    }

    /// A certificate for a host's server under `names` (DNS names and IP
    /// addresses); one that is there is kept while it has these names, is of
    /// this authority and is not about to end, unless `renew`.
    ///
    /// # Errors
    /// The authority is missing or others may read its key, a name is no name,
    /// or a file cannot be written.
    pub fn issue(&self, host: &str, names: &[String], days: u32, renew: bool) -> Result<Issued, AuthorityError> {
        if !host.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:".contains(c)) || host.starts_with(['.', '-']) {
            return Err(AuthorityError::Name(host.to_owned()));
        }
        let folder = self.folder.join("hosts");
        let certificate_path = folder.join(format!("{host}.crt"));
        let key_path = folder.join(format!("{host}.key"));
        let (authority, issuer) = self.issuer()?;
        if !renew && key_path.is_file() && still_good(&certificate_path, &authority, names) {
            return Ok(Issued::Kept(certificate_path));
        }
        private_folder(&folder)?;
        let key = KeyPair::generate().map_err(make)?;
        let mut params = params(names.to_vec(), host, days)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let certificate = params.signed_by(&key, &issuer).map_err(make)?;
        // The key first: a certificate whose key is missing is made anew the next time.
        replace(&key_path, 0o600, key.serialize_pem().as_bytes())?;
        replace(&certificate_path, 0o644, certificate.pem().as_bytes())?;
        Ok(Issued::Made(certificate_path))
    }

    fn issuer(&self) -> Result<(openssl::x509::X509, Issuer<'static, KeyPair>), AuthorityError> {
        let path = self.key();
        let mode = fs::metadata(&path).map_err(|error| file(&path, missing(&error)))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(file(&path, "others on this machine may read the authority's key: chmod 600 it"));
        }
        let text = fs::read_to_string(&path).map_err(|error| file(&path, error))?;
        let key = KeyPair::from_pem(&text).map_err(|error| file(&path, format!("is not a private key: {error}")))?;
        let path = self.certificate();
        let bytes = fs::read(&path).map_err(|error| file(&path, missing(&error)))?;
        let certificate = openssl::x509::X509::from_pem(&bytes)
            .map_err(|error| file(&path, format!("is not a certificate: {error}")))?;
        let name = certificate
            .subject_name()
            .entries_by_nid(openssl::nid::Nid::COMMONNAME)
            .next()
            .and_then(|entry| entry.data().to_string().ok())
            .ok_or_else(|| file(&path, "has no common name, so it was not made by this program"))?;
        let mut params = params(Vec::new(), &name, AUTHORITY_DAYS)?;
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Ok((certificate, Issuer::new(params, key)))
    }
}

fn missing(error: &std::io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "is not there; make the authority with 'stockade ca init'".to_owned(),
        _ => error.to_string(),
    }
}

fn params(names: Vec<String>, common: &str, days: u32) -> Result<CertificateParams, AuthorityError> {
    for name in &names {
        let dns = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
        if !dns && name.parse::<std::net::IpAddr>().is_err() {
            return Err(AuthorityError::Name(name.clone()));
        }
    }
    let mut params = CertificateParams::new(names).map_err(make)?;
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common);
    params.distinguished_name = subject;
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_err(make)?;
    let epoch = date_time_ymd(1970, 1, 1);
    let day = Duration::from_secs(24 * 3600);
    // A host whose clock is a little behind must not refuse it.
    params.not_before = epoch + Duration::from_secs(now.as_secs().saturating_sub(3600));
    params.not_after = epoch + Duration::from_secs(now.as_secs()) + day.saturating_mul(days);
    let mut serial = [0u8; 16];
    getrandom::fill(&mut serial).map_err(make)?;
    serial[0] &= 0x7f; // positive (RFC 5280, 4.1.2.2)
    params.serial_number = Some(SerialNumber::from_slice(&serial));
    Ok(params)
}

/// Whether a host's certificate may stay.
fn still_good(path: &Path, authority: &openssl::x509::X509, names: &[String]) -> bool {
    let check = || -> Option<bool> {
        let certificate = openssl::x509::X509::from_pem(&fs::read(path).ok()?).ok()?;
        let soon = openssl::asn1::Asn1Time::days_from_now(RENEW_DAYS).ok()?;
        let ends_late = certificate.not_after() > soon.as_ref();
        let own = certificate.verify(authority.public_key().ok()?.as_ref()).ok()?;
        let known = certificate.subject_alt_names()?;
        let has = |name: &String| match name.parse::<std::net::IpAddr>() {
            Ok(std::net::IpAddr::V4(ip)) => known.iter().any(|n| n.ipaddress() == Some(&ip.octets())),
            Ok(std::net::IpAddr::V6(ip)) => known.iter().any(|n| n.ipaddress() == Some(&ip.octets())),
            Err(_) => known.iter().any(|n| n.dnsname() == Some(name.as_str())),
        };
        Some(ends_late && own && names.iter().all(has))
    };
    check().unwrap_or(false)
}

fn private_folder(path: &Path) -> Result<(), AuthorityError> {
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| file(path, error))
}

/// Writes a file that must not be there yet.
fn write(path: &Path, mode: u32, content: &[u8]) -> Result<(), AuthorityError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let mut out = opened.map_err(|error| file(path, format!("cannot be made: {error}")))?;
    let written = out.write_all(content).and_then(|()| out.sync_all());
    if written.is_err() {
        let _ = fs::remove_file(path);
    }
    written.map_err(|error| file(path, format!("cannot be written: {error}")))
}

/// Writes a file in one step, whether it is there or not.
fn replace(path: &Path, mode: u32, content: &[u8]) -> Result<(), AuthorityError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = fs::remove_file(&new);
    write(&new, mode, content)?;
    fs::rename(&new, path).map_err(|error| file(path, format!("cannot be put in place: {error}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "authority_tests.rs"]
mod tests;
