//! The client's side of an exchange: its body on the way up, and what it says
//! or ends beside it.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::sync::oneshot;

use super::Proxy;
use super::body::{decoder, refused};
use super::exchange::{Done, Trouble};
use super::rebuild::too_large;
use super::relay::{LARGE, SMALL, room};
use crate::build::{ContextError, ContextOptions, rewrite};
use crate::http1::{Framing, Piece, chunk};
use crate::services::Services;
use crate::{Build, Refusal};

/// Most entries of a build context.
const MAX_ENTRIES: u64 = 1_000_000;

/// What a client that says or ends something beside its request means by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beside {
    /// Its next request follows; one that ends its side still waits for the
    /// answer, as the daemon itself has it.
    NextRequest,
    /// The same, but the answer is a stream: one that ends its side leaves.
    Leaves,
    /// Nothing may come before the switch.
    Forbidden,
    /// It is input of what is being started.
    Input,
}

impl Proxy {
    /// Sends a build context on, rewritten, with the Dockerfile that the policy
    /// writes. False if the daemon stopped reading. After an error the daemon
    /// has no whole archive: the connection to it is closed.
    pub(super) async fn build_context<R, W>(
        &self,
        services: &Services,
        build: &Build,
        (from, buffer): &mut (R, &mut BytesMut),
        to: &mut W,
        framing: Framing,
    ) -> Result<bool, Trouble>
    where
        R: AsyncRead + Unpin,
        W: AsyncWrite + Unpin,
    {
        let (ask, mut asked) = tokio::sync::mpsc::channel::<(Vec<u8>, oneshot::Sender<Result<Vec<u8>, Refusal>>)>(1);
        let options = ContextOptions { dockerfile: build.dockerfile.clone(), limit: build.limit, entries: MAX_ENTRIES };
        let gone = || refused(503, "build.context", "the build was given up");
        let (input, mut output) = rewrite(options, move |text| async move {
            let (answer, answered) = oneshot::channel();
            ask.send((text, answer)).await.map_err(|_| gone())?;
            answered.await.unwrap_or_else(|_| Err(gone()))
        });
        let feed = async {
            let (mut decoder, mut last) = (decoder(framing), 0);
            loop {
                let piece = decoder
                    .next(buffer)
                    .map_err(|_| Trouble::Refused(refused(400, "http.framing", "malformed chunked body")))?;
                match piece {
                    // Whether it was read is told by the output.
                    Piece::Data(data) => {
                        if !input.send(data).await {
                            return Ok(());
                        }
                    }
                    Piece::End => {
                        input.finish().await;
                        return Ok(());
                    }
                    Piece::More => {
                        room(buffer, last);
                        last = from.read_buf(buffer).await.unwrap_or(0);
                        if last == 0 {
                            return Err(Trouble::Client);
                        }
                    }
                }
            }
        };
        tokio::pin!(feed);
        let (mut fed, mut out) = (false, Vec::new());
        loop {
            tokio::select! {
                ended = &mut feed, if !fed => {
                    ended?;
                    fed = true;
                }
                Some((text, answer)) = asked.recv() => {
                    // Who asks has ended where it does not wait any more.
                    let _ = answer.send(services.policy.dockerfile(build, &text, &self.upstream).await);
                }
                piece = output.next() => match piece {
                    Some(Ok(piece)) => {
                        out.clear();
                        chunk(&mut out, &piece);
                        if to.write_all(&out).await.is_err() {
                            return Ok(false);
                        }
                    }
                    None => return Ok(to.write_all(b"0\r\n\r\n").await.is_ok()),
                    Some(Err(error)) => return Err(Trouble::Refused(of_context(error))),
                }
            }
        }
    }
}

fn of_context(error: ContextError<Refusal>) -> Refusal {
    match error {
        ContextError::Dockerfile(refusal) => refusal,
        ContextError::TooLarge => refused(413, "body.size", &error.to_string()),
        ContextError::Refused(_) | ContextError::Aborted | ContextError::Lost => {
            refused(400, "build.context", &error.to_string())
        }
    }
}

/// Sends the client's body on, framed anew. False if the daemon stopped reading.
pub(super) async fn upload<R, W>(
    from: &mut R,
    buffer: &mut BytesMut,
    to: &mut W,
    framing: Framing,
    limit: u64,
) -> Result<bool, Trouble>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let (mut decoder, mut sent, mut last, mut out) = (decoder(framing), 0_u64, 0, Vec::new());
    loop {
        out.clear();
        let piece = decoder
            .next(buffer)
            .map_err(|_| Trouble::Refused(refused(400, "http.framing", "malformed chunked body")))?;
        match piece {
            Piece::Data(data) => {
                sent += data.len() as u64;
                if sent > limit {
                    return Err(Trouble::Refused(too_large(limit)));
                }
                let written = if framing == Framing::Chunked {
                    chunk(&mut out, &data);
                    to.write_all(&out).await
                } else {
                    to.write_all(&data).await
                };
                if written.is_err() {
                    return Ok(false);
                }
            }
            Piece::End => return Ok(framing != Framing::Chunked || to.write_all(b"0\r\n\r\n").await.is_ok()),
            Piece::More => {
                room(buffer, last);
                last = from.read_buf(buffer).await.unwrap_or(0);
                if last == 0 {
                    return Err(Trouble::Client);
                }
            }
        }
    }
}

/// Returns when the client goes away, and keeps what it sends meanwhile.
pub(super) async fn watch<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    beside: Beside,
) -> Result<Done, Trouble> {
    loop {
        if beside == Beside::Forbidden && !buffer.is_empty() {
            return Err(Trouble::Refused(refused(
                400,
                "hijack.early",
                "bytes were sent before the connection was switched",
            )));
        }
        if buffer.len() >= LARGE {
            if beside == Beside::Leaves {
                // The end of one that sends on and on would not be seen.
                return Err(Trouble::Client);
            }
            std::future::pending::<()>().await;
        }
        if buffer.capacity() == buffer.len() {
            buffer.reserve(SMALL);
        }
        match from.read_buf(buffer).await {
            Ok(0) if matches!(beside, Beside::NextRequest | Beside::Input) => std::future::pending::<()>().await,
            Ok(0) | Err(_) => return Err(Trouble::Client),
            Ok(_) => {}
        }
    }
}
