//! What a local executable needs of a host: machine, interpreter, glibc.
//!
//! Reads the ELF header, PT_INTERP and the version needs (elf(5); LSB Core,
//! "Symbol Versioning"), or the first line of a script (execve(2)).

use crate::values::AbsPath;
use object::elf::{FileHeader32, FileHeader64};
use object::read::elf::{FileHeader, ProgramHeader};
use object::{Endianness, elf};
use std::fmt;

/// A version of glibc.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Glibc(u32, u32);

impl Glibc {
    /// From `2.39`, or `2.2.5` whose last part does not count here.
    pub fn parse(text: &str) -> Option<Glibc> {
        let mut parts = text.split('.');
        let major = parts.next()?.parse().ok()?;
        Some(Glibc(major, parts.next()?.parse().ok()?))
    }
}

impl fmt::Display for Glibc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.0, self.1)
    }
}

/// What an executable needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needs {
    /// The machine, in words; none for a script.
    pub machine: Option<&'static str>,
    /// The program loader, or a script's interpreter; none if it is static.
    pub interpreter: Option<AbsPath>,
    /// The newest version of glibc that a symbol asks for.
    pub glibc: Option<Glibc>,
}

/// ELF machines and the names that uname(2) may give them.
const MACHINES: [(u16, &str, &[&str]); 7] = [
    (62, "x86_64", &["x86_64"]),
    (183, "aarch64", &["aarch64", "arm64"]),
    (40, "arm", &["armv7l", "armv6l", "armv8l"]),
    (243, "riscv64", &["riscv64"]),
    (3, "i386", &["i386", "i486", "i586", "i686"]),
    (21, "ppc64", &["ppc64le", "ppc64"]),
    (22, "s390x", &["s390x"]),
];

impl Needs {
    /// Reads an executable.
    ///
    /// # Errors
    /// It is none, or damaged: a sentence for the operator, without the path.
    pub fn read(bytes: &[u8]) -> Result<Needs, String> {
        if bytes.starts_with(b"#!") {
            return script(bytes);
        }
        if !bytes.starts_with(b"\x7fELF") {
            return Err("is neither an ELF program nor a script with a '#!' line".into());
        }
        match bytes.get(4) {
            Some(1) => program::<FileHeader32<Endianness>>(bytes),
            Some(2) => program::<FileHeader64<Endianness>>(bytes),
            _ => Err("is an ELF file of unknown class".into()),
        }
    }

    /// Whether a kernel of this machine name runs it.
    pub fn runs_on(&self, uname: &str) -> bool {
        let Some(machine) = self.machine else { return true };
        MACHINES.iter().any(|(_, name, unames)| *name == machine && unames.contains(&uname))
    }
}

fn script(bytes: &[u8]) -> Result<Needs, String> {
    let line = bytes.split(|b| *b == b'\n').next().unwrap_or_default();
    let text = std::str::from_utf8(&line[2..]).map_err(|_| "has a '#!' line that is not UTF-8".to_owned())?;
    if text.ends_with('\r') {
        return Err("has Windows line ends: no host would find its interpreter".into());
    }
    let interpreter = text.split_whitespace().next().unwrap_or_default();
    let interpreter =
        interpreter.parse().map_err(|why| format!("has a '#!' line without a usable interpreter: {why}"))?;
    Ok(Needs { machine: None, interpreter: Some(interpreter), glibc: None })
}

fn program<Elf: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Needs, String> {
    parse::<Elf>(data).map_err(|error| match error {
        ElfError::Damaged(why) => format!("is a damaged ELF file: {why}"),
        ElfError::Other(why) => why,
    })
}

enum ElfError {
    Damaged(object::read::Error),
    Other(String),
}

impl From<object::read::Error> for ElfError {
    fn from(error: object::read::Error) -> ElfError {
        ElfError::Damaged(error)
    }
}

fn parse<Elf: FileHeader<Endian = Endianness>>(data: &[u8]) -> Result<Needs, ElfError> {
    let header = Elf::parse(data)?;
    let endian = header.endian()?;
    if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(endian)) {
        return Err(ElfError::Other("is an ELF file, but no program (an object file or a core dump)".into()));
    }
    let number = header.e_machine(endian).0;
    let machine = MACHINES.iter().find(|(known, ..)| *known == number).map(|(_, name, _)| *name);
    let Some(machine) = machine else {
        return Err(ElfError::Other(format!("is for ELF machine {number}, which is not known here")));
    };
    let mut interpreter = None;
    for segment in header.program_headers(endian, data)? {
        if let Some(bytes) = segment.interpreter(endian, data)? {
            let path = std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok());
            interpreter = Some(path.ok_or_else(|| ElfError::Other("names a program loader that is no path".into()))?);
        }
    }
    Ok(Needs { machine: Some(machine), interpreter, glibc: newest_glibc(header, endian, data)? })
}

fn newest_glibc<Elf: FileHeader<Endian = Endianness>>(
    header: &Elf,
    endian: Endianness,
    data: &[u8],
) -> Result<Option<Glibc>, ElfError> {
    let sections = header.sections(endian, data)?;
    let Some((mut needs, link)) = sections.gnu_verneed(endian, data)? else { return Ok(None) };
    let strings = sections.strings(endian, data, link)?;
    let mut newest = None;
    while let Some((_, mut versions)) = needs.next()? {
        while let Some(version) = versions.next()? {
            let name = String::from_utf8_lossy(version.name(endian, strings)?).into_owned();
            newest = newest.max(name.strip_prefix("GLIBC_").and_then(Glibc::parse));
        }
    }
    Ok(newest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
#[path = "elf_tests.rs"]
mod tests;
