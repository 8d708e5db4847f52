//! Builds with the classic builder: what a build context may say is known
//! before the daemon acts on it.
//!
//! ```text
//! client's body ─► context::rewrite (gunzip, read tar, write tar anew) ─► daemon
//!                        │ at the end: the Dockerfile's bytes
//!                        ▼
//!   Dockerfile::parse ─► references ─► (caller: resolve, own?, pull) ─► render ─► last entry
//! ```
//!
//! [`Dockerfile`] reads a Dockerfile as moby's parser and builder do (20.10 and
//! newer: `buildkit/frontend/dockerfile/{parser,instructions,shell}` and
//! `builder/dockerfile`). Where two engine versions read a text differently, or
//! where the meaning depends on what is known only inside the build, the text
//! is refused. [`Dockerfile::render`] writes a Dockerfile that all of them read
//! in one way, with every image pinned by its id.
//!
//! [`rewrite`] reads the client's tar archive and writes it anew, entry by
//! entry, in constant memory. The rendered Dockerfile is its last entry, which
//! replaces the client's own when the daemon extracts the archive.
//!
//! What the caller has to do besides:
//! - refuse `remote`, and take `pull` out of the query: images are pinned by
//!   id, which no registry knows, so a build with `pull=1` fails.
//! - set the query's `dockerfile` to [`DockerfilePath::as_str`].
//! - look at the ONBUILD triggers of every base image: [`Dockerfile::check_onbuild`].
//! - when the rewritten context ends with an error, close the connection to the
//!   daemon without ending its request body: the daemon takes an archive
//!   without an end marker as complete if its body ends properly.

mod context;
mod dockerfile;
mod error;
mod expand;
mod instruction;
mod json_form;
mod lines;
mod tar_reader;
mod tar_writer;

pub use context::{ContextError, ContextInput, ContextOptions, ContextOutput, DockerfilePath, rewrite};
pub use dockerfile::{BuildArgs, Dockerfile, Fetch, ImageReference, ReferenceUse, Stage, Triggers};
pub use error::DockerfileError;
pub use instruction::{Flag, Instruction, Keyword};
