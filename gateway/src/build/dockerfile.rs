//! A whole Dockerfile: stages, the images that they refer to, and the text
//! that the daemon gets instead.

use std::collections::HashMap;

use super::error::DockerfileError;
use super::expand::{ExpandError, expand};
use super::instruction::{Instruction, Keyword, Meaning};
use super::lines::{self, LINE_LIMIT};
use crate::shown::shown;

/// Instructions of one Dockerfile.
const INSTRUCTIONS_LIMIT: usize = 4096;

/// The query's `buildargs`: a value, or none for `null`, which counts as not given.
pub type BuildArgs = HashMap<String, Option<String>>;

/// Build arguments that are set without an `ARG`, perhaps by the daemon itself.
const PREDEFINED: [&str; 5] = ["HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"];

/// A Dockerfile that the classic builder of every engine from 20.10 on reads in
/// one way.
#[derive(Debug, Clone)]
pub struct Dockerfile {
    escape: char,
    /// The `ARG` instructions before the first `FROM`.
    meta: Vec<Instruction>,
    stages: Vec<Stage>,
}

/// A `FROM` and what follows it.
#[derive(Debug, Clone)]
pub struct Stage {
    /// Where its `FROM` stands, counted from 1.
    pub line: usize,
    /// Its name in small letters; none if it has none.
    pub name: Option<String>,
    /// What it is based on, not expanded.
    pub base: String,
    /// The flag `--platform`, not expanded.
    pub platform: Option<String>,
    /// Without the `FROM`.
    pub instructions: Vec<Instruction>,
}

/// Where an image is referred to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReferenceUse {
    /// As the base of a stage. Its ONBUILD triggers run: [`Dockerfile::check_onbuild`].
    From,
    /// In `COPY --from`.
    CopyFrom,
}

/// An image that a Dockerfile refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageReference {
    /// As the daemon sees it after expansion: a name with tag or digest, an id,
    /// or the beginning of one. Its grammar is not checked but for the
    /// characters `A-Za-z0-9._-/:@`.
    pub reference: String,
    /// The `--platform` of its `FROM`, expanded. None means the build's own
    /// (the query's `platform`), as it always does for `COPY --from`.
    pub platform: Option<String>,
    /// The instruction's line, counted from 1.
    pub line: usize,
    /// The stage that refers to it, counted from 0.
    pub stage: usize,
    /// What for.
    pub usage: ReferenceUse,
}

/// Something that the daemon itself fetches in a build, by `ADD`.
///
/// The daemon follows redirects to any other host, so allowing a host here
/// means trusting it not to redirect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetch {
    /// As written.
    pub url: String,
    /// In small letters; an IPv6 address is in brackets.
    pub host: String,
    /// As written, or the scheme's.
    pub port: u16,
    /// The instruction's line, counted from 1.
    pub line: usize,
}

/// What a base image's ONBUILD triggers do to a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Triggers {
    /// How many images the triggers make. They run before the first instruction
    /// after `FROM`, so these do not carry the labels of [`Dockerfile::render`]
    /// but those of the base image.
    pub unlabelled: usize,
}

/// What `COPY --from` names.
enum CopySource {
    Stage(usize),
    Image(String),
}

impl Dockerfile {
    /// Reads a Dockerfile.
    ///
    /// # Errors
    /// What the daemon would refuse, what engines read differently, what needs
    /// BuildKit, what sets a reserved label, and what `ADD` could fetch
    /// without that being certain. The error names the line and what to do.
    pub fn parse(bytes: &[u8]) -> Result<Dockerfile, DockerfileError> {
        let source = lines::split(bytes)?;
        let (mut meta, mut stages): (_, Vec<Stage>) = (Vec::new(), Vec::new());
        let last = source.lines.last().map_or(1, |line| line.number);
        if let Some(line) = source.lines.get(INSTRUCTIONS_LIMIT) {
            let message = format!("there are more than {INSTRUCTIONS_LIMIT} instructions");
            return Err(DockerfileError::new(line.number, message));
        }
        for line in &source.lines {
            let instruction = Instruction::read(&line.text, line.number, source.escape)?;
            if let Meaning::From { base, name } = &instruction.meaning {
                if name.is_some() && stages.iter().any(|stage| stage.name == *name) {
                    return Err(DockerfileError::new(line.number, "the stage's name is used already"));
                }
                stages.push(Stage {
                    line: line.number,
                    name: name.clone(),
                    base: base.clone(),
                    // An empty platform counts as none.
                    platform: instruction.flag("platform").filter(|text| !text.is_empty()).map(str::to_owned),
                    instructions: Vec::new(),
                });
            } else if let Some(stage) = stages.last_mut() {
                stage.instructions.push(instruction);
            } else if instruction.keyword == Keyword::Arg {
                meta.push(instruction);
            } else {
                return Err(DockerfileError::new(line.number, "only ARG may stand before the first FROM"));
            }
        }
        if stages.is_empty() {
            return Err(DockerfileError::new(last, "there is no FROM"));
        }
        Ok(Dockerfile { escape: source.escape, meta, stages })
    }

    /// The stages that the daemon runs, in order: all up to the target, whether
    /// the target needs them or not.
    ///
    /// # Errors
    /// A target that names no stage. The classic builder takes no number.
    pub fn stages(&self, target: Option<&str>) -> Result<&[Stage], DockerfileError> {
        let Some(target) = target.filter(|target| !target.is_empty()) else { return Ok(&self.stages) };
        let at = self.stages.iter().position(|stage| {
            stage.name.as_deref().is_some_and(|name| target.is_ascii() && name.eq_ignore_ascii_case(target))
        });
        at.and_then(|at| self.stages.get(..=at)).ok_or_else(|| {
            let message = format!("no stage is named {:?}; the classic builder's target is a name", shown(target));
            DockerfileError::new(self.stages.first().map_or(1, |stage| stage.line), message)
        })
    }

    /// The `ARG` instructions before the first `FROM`.
    pub fn meta_args(&self) -> &[Instruction] {
        &self.meta
    }

    /// The steps that the daemon counts for this text (`Step 1/N`), without the
    /// labels of its query.
    ///
    /// # Errors
    /// As [`Dockerfile::stages`].
    pub fn steps(&self, target: Option<&str>) -> Result<usize, DockerfileError> {
        Ok(self.meta.len() + self.stages(target)?.iter().map(|stage| 1 + stage.instructions.len()).sum::<usize>())
    }

    /// Every image that a build of the target refers to: the bases of its
    /// stages and `COPY --from`, but neither stages nor `scratch`. In the order
    /// of the file; one image may be there several times.
    ///
    /// # Errors
    /// A reference whose value cannot be decided, or that is none.
    pub fn references(
        &self,
        build_args: &BuildArgs,
        target: Option<&str>,
    ) -> Result<Vec<ImageReference>, DockerfileError> {
        let variables = self.variables(build_args)?;
        let stages = self.stages(target)?;
        let mut all = Vec::new();
        for (index, stage) in stages.iter().enumerate() {
            let base = self.base(stage, &variables)?;
            if self.stage_named(&base, index).is_none() && base != "scratch" {
                all.push(ImageReference {
                    reference: base,
                    platform: self.platform(stage, &variables)?,
                    line: stage.line,
                    stage: index,
                    usage: ReferenceUse::From,
                });
            }
            for instruction in &stage.instructions {
                if let Some(reference) = self.copied_image(instruction, index)? {
                    all.push(reference);
                }
            }
        }
        Ok(all)
    }

    /// Every URL that a build of the target makes the daemon fetch.
    ///
    /// # Errors
    /// As [`Dockerfile::stages`].
    pub fn fetches(&self, target: Option<&str>) -> Result<Vec<Fetch>, DockerfileError> {
        let instructions = self.stages(target)?.iter().flat_map(|stage| &stage.instructions);
        let fetches = instructions.flat_map(|instruction| {
            let urls = match &instruction.meaning {
                Meaning::Add { urls } => &urls[..],
                _ => &[],
            };
            urls.iter().map(|url| Fetch {
                url: url.text.clone(),
                host: url.host.clone(),
                port: url.port,
                line: instruction.line,
            })
        });
        Ok(fetches.collect())
    }

    /// Judges a base image's ONBUILD triggers (`Config.OnBuild` of its inspect
    /// answer) by the rules for a Dockerfile's own instructions. `stage` is the
    /// one whose base it is ([`ImageReference::stage`]).
    ///
    /// # Errors
    /// A trigger that a Dockerfile could not hold, that makes the daemon fetch,
    /// or that copies from an image: the text is the image's, so no reference in
    /// it can be pinned. The line is that of the stage's `FROM`.
    pub fn check_onbuild(&self, stage: usize, triggers: &[String]) -> Result<Triggers, DockerfileError> {
        let line = self.stages.get(stage).map_or(1, |stage| stage.line);
        for trigger in triggers {
            let fail = |why: &str| {
                let message = format!("the base image's ONBUILD trigger {:?} is refused: {why}", shown(trigger));
                DockerfileError::new(line, message)
            };
            let text = trigger.trim();
            // Read as a Dockerfile of its own, which has its own escape character.
            if text.contains(['\n', '\r', '\0', '\u{feff}']) || text.starts_with('#') || lines::continued(text, '\\').1
            {
                return Err(fail("it is not one plain line"));
            }
            let inner = Instruction::read(text, line, '\\').map_err(|error| fail(&error.message))?;
            inner.check_as_trigger().map_err(|why| fail(&why))?;
            match self.copy_source(&inner, stage) {
                Ok(None | Some(CopySource::Stage(_))) => {}
                Ok(Some(CopySource::Image(_))) => return Err(fail("it copies from an image that cannot be pinned")),
                Err(error) => return Err(fail(&error.message)),
            }
        }
        Ok(Triggers { unlabelled: triggers.len() })
    }

    /// Writes the Dockerfile anew for the daemon: one line for each instruction,
    /// no comments, the stages up to the target. Every image is pinned: `pins`
    /// answers with its id, `sha256:` and 64 hexadecimal digits, which is written
    /// without `sha256:`, as a name that no registry can answer to. After each
    /// `FROM` stands a `LABEL` with the given labels, so that every image that
    /// the stage makes has them (but see [`Triggers::unlabelled`]).
    ///
    /// What is rendered is read again and compared, and renders to itself if
    /// each id is pinned to itself and no label is added.
    ///
    /// # Errors
    /// As [`Dockerfile::references`]; a reference without a pin; a line longer
    /// than 64 KiB; a label that cannot be written.
    pub fn render(
        &self,
        build_args: &BuildArgs,
        target: Option<&str>,
        labels: &[(String, String)],
        pins: &dyn Fn(&ImageReference) -> Option<String>,
    ) -> Result<Vec<u8>, DockerfileError> {
        let variables = self.variables(build_args)?;
        let label = self.label(labels)?;
        let mut out = Rendered { escape: self.escape, text: String::new(), lines: Vec::new() };
        if self.escape == '`' {
            out.text.push_str("# escape=`\n");
        }
        self.meta.iter().try_for_each(|meta| out.instruction(meta))?;
        for (index, stage) in self.stages(target)?.iter().enumerate() {
            let base = self.base(stage, &variables)?;
            let platform = self.platform(stage, &variables)?;
            let base = match self.stage_named(&base, index) {
                Some(name) => name.to_owned(),
                None if base == "scratch" => base,
                None => pinned(
                    pins,
                    &ImageReference {
                        reference: base,
                        platform: platform.clone(),
                        line: stage.line,
                        stage: index,
                        usage: ReferenceUse::From,
                    },
                )?,
            };
            let platform = platform.map(|platform| format!(" --platform={platform}")).unwrap_or_default();
            let name = stage.name.as_ref().map(|name| format!(" AS {name}")).unwrap_or_default();
            out.line(stage.line, format!("FROM{platform} {base}{name}"))?;
            if let Some(label) = &label {
                out.line(stage.line, label.clone())?;
            }
            for instruction in &stage.instructions {
                let mut instruction = instruction.clone();
                let from = match self.copy_source(&instruction, index)? {
                    Some(CopySource::Stage(number)) => Some(number.to_string()),
                    Some(CopySource::Image(_)) => {
                        let reference = self.copied_image(&instruction, index)?;
                        reference.map(|reference| pinned(pins, &reference)).transpose()?
                    }
                    None => None,
                };
                // An empty `--from=` is none, and goes.
                instruction.flags.retain(|flag| flag.name != "from" || from.is_some());
                for flag in instruction.flags.iter_mut().filter(|flag| flag.name == "from") {
                    flag.value = from.clone().unwrap_or_default();
                }
                out.instruction(&instruction)?;
            }
        }
        out.checked()
    }

    /// The values of the arguments before the first `FROM`, as `processMetaArg`
    /// and `getBuildArg` make them.
    fn variables<'a>(&'a self, build_args: &'a BuildArgs) -> Result<Variables<'a>, DockerfileError> {
        let mut variables = Variables { build_args, defaults: HashMap::new() };
        for meta in &self.meta {
            let Meaning::Arg(arguments) = &meta.meaning else { continue };
            let mut made = Vec::new();
            for (key, value) in arguments {
                let value = value.as_ref().map(|value| {
                    if value.contains('$') && !value.is_ascii() {
                        return Err(ExpandError::Undecided(
                            "it joins a variable and text that is not ASCII".to_owned(),
                        ));
                    }
                    expand(value, self.escape, &|name| variables.get(name))
                });
                if value == Some(Err(ExpandError::TooLong)) {
                    return Err(DockerfileError::new(meta.line, format!("the value of {} is too long", shown(key))));
                }
                made.push((key.as_str(), value));
            }
            variables.defaults.extend(made);
        }
        Ok(variables)
    }

    fn word(
        &self,
        stage: &Stage,
        what: &str,
        word: &str,
        variables: &Variables<'_>,
        plain: fn(u8) -> bool,
    ) -> Result<String, DockerfileError> {
        let fail =
            |why: &str| DockerfileError::new(stage.line, format!("the {what} of FROM, {:?}, {why}", shown(word)));
        match expand(word, self.escape, &|name| variables.get(name)) {
            Ok(value) if value.is_empty() => Err(fail("is empty")),
            Ok(value) if value.bytes().all(plain) => Ok(value),
            Ok(value) => Err(fail(&format!("becomes {:?}, which is none", shown(&value)))),
            Err(ExpandError::Undecided(why)) => Err(fail(&format!("cannot be decided: {why}"))),
            Err(ExpandError::TooLong) => Err(fail("is too long")),
        }
    }

    fn base(&self, stage: &Stage, variables: &Variables<'_>) -> Result<String, DockerfileError> {
        self.word(stage, "image", &stage.base, variables, is_reference_byte)
    }

    fn platform(&self, stage: &Stage, variables: &Variables<'_>) -> Result<Option<String>, DockerfileError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
        let word = |text| self.word(stage, "platform", text, variables, plain);
        stage.platform.as_deref().map(word).transpose()
    }

    /// The name of the stage before `index` that a base means.
    fn stage_named(&self, base: &str, index: usize) -> Option<&str> {
        let before = self.stages.get(..index).unwrap_or_default();
        before.iter().filter_map(|stage| stage.name.as_deref()).find(|name| name.eq_ignore_ascii_case(base))
    }

    fn copied_image(&self, instruction: &Instruction, index: usize) -> Result<Option<ImageReference>, DockerfileError> {
        let Some(CopySource::Image(reference)) = self.copy_source(instruction, index)? else { return Ok(None) };
        Ok(Some(ImageReference {
            reference,
            platform: None,
            line: instruction.line,
            stage: index,
            usage: ReferenceUse::CopyFrom,
        }))
    }

    /// `COPY --from` of a stage's instruction: a name or number of a stage
    /// before it, or an image. It is never expanded.
    fn copy_source(&self, instruction: &Instruction, index: usize) -> Result<Option<CopySource>, DockerfileError> {
        let Some(from) = instruction.flag("from").filter(|from| !from.is_empty()) else { return Ok(None) };
        let fail = |why: &str| DockerfileError::new(instruction.line, format!("--from={:?} {why}", shown(from)));
        let before = self.stages.get(..index).unwrap_or_default();
        let named = before.iter().position(|stage| {
            stage.name.as_deref().is_some_and(|name| from.is_ascii() && name.eq_ignore_ascii_case(from))
        });
        if let Some(number) = named {
            return Ok(Some(CopySource::Stage(number)));
        }
        let digits = from.strip_prefix(['+', '-']).unwrap_or(from);
        // An id of digits alone is no number to the daemon, being too great for one.
        if digits.bytes().all(|b| b.is_ascii_digit()) && digits.len() < 64 {
            return match from.parse::<usize>() {
                Ok(number) if number < index => Ok(Some(CopySource::Stage(number))),
                _ => Err(fail("is no stage before this one")),
            };
        }
        if !from.bytes().all(is_reference_byte) {
            return Err(fail("is neither a stage nor an image; variables are not possible here"));
        }
        if from == "scratch" {
            return Err(fail("is empty: nothing can be copied from it"));
        }
        Ok(Some(CopySource::Image(from.to_owned())))
    }

    fn label(&self, labels: &[(String, String)]) -> Result<Option<String>, DockerfileError> {
        let fail = |key: &str| DockerfileError::new(1, format!("the label {:?} cannot be written", shown(key)));
        let mut line = "LABEL".to_owned();
        for (key, value) in labels {
            let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/".contains(&b));
            if !plain || value.contains(|c: char| c.is_control() || c == '\u{feff}') {
                return Err(fail(key));
            }
            line.push_str(&format!(" {key}=\""));
            for c in value.chars() {
                if matches!(c, '"' | '$') || c == self.escape {
                    line.push(self.escape);
                }
                line.push(c);
            }
            line.push('"');
        }
        Ok((!labels.is_empty()).then_some(line))
    }
}

fn is_reference_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-/:@".contains(&byte)
}

/// The id that an image is pinned to, without `sha256:`.
fn pinned(
    pins: &dyn Fn(&ImageReference) -> Option<String>,
    reference: &ImageReference,
) -> Result<String, DockerfileError> {
    let id = pins(reference).and_then(|id| Some(id.strip_prefix("sha256:")?.to_owned()));
    let whole = |id: &String| id.len() == 64 && id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
    id.filter(whole).ok_or_else(|| {
        let message = format!("the image {:?} is not known", shown(&reference.reference));
        DockerfileError::new(reference.line, message)
    })
}

struct Variables<'a> {
    build_args: &'a BuildArgs,
    defaults: HashMap<&'a str, Option<Result<String, ExpandError>>>,
}

impl Variables<'_> {
    fn get(&self, name: &str) -> Result<Option<String>, ExpandError> {
        if PREDEFINED.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Err(ExpandError::Undecided(format!("{name} is set by the daemon")));
        }
        let Some(default) = self.defaults.get(name) else { return Ok(None) };
        match self.build_args.get(name) {
            Some(Some(value)) => Ok(Some(value.clone())),
            Some(None) | None => default.clone().transpose(),
        }
    }
}

/// The text being written.
struct Rendered {
    escape: char,
    text: String,
    lines: Vec<String>,
}

impl Rendered {
    fn line(&mut self, number: usize, text: String) -> Result<(), DockerfileError> {
        if text.len() > LINE_LIMIT {
            let message = "the instruction is longer than 64 KiB when it is written in one line; split it";
            return Err(DockerfileError::new(number, message));
        }
        if text.contains(['\n', '\r']) || lines::continued(&text, self.escape).1 {
            return Err(DockerfileError::new(number, "the instruction cannot be written in one line"));
        }
        self.text.push_str(&text);
        self.text.push('\n');
        self.lines.push(text);
        Ok(())
    }

    /// An instruction, if its line reads back as the same.
    fn instruction(&mut self, instruction: &Instruction) -> Result<(), DockerfileError> {
        let text = instruction.render();
        let read = Instruction::read(&text, instruction.line, self.escape)?;
        if !read.is_same(instruction) {
            return Err(DockerfileError::new(instruction.line, "the instruction cannot be written anew"));
        }
        self.line(instruction.line, text)
    }

    /// The text, if it consists of the lines that were meant.
    fn checked(self) -> Result<Vec<u8>, DockerfileError> {
        let source = lines::split(self.text.as_bytes())?;
        if source.escape == self.escape && source.lines.iter().map(|line| &line.text).eq(&self.lines) {
            return Ok(self.text.into_bytes());
        }
        Err(DockerfileError::new(1, "the Dockerfile cannot be written anew"))
    }
}

#[cfg(test)]
#[path = "dockerfile_tests.rs"]
mod tests;
