//! The daemon's answer on its way to the client: whole, as it comes, or line by line.

use std::sync::atomic::Ordering;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::answer;
use super::body::refused;
use super::exchange::{Progress, Trouble};
use crate::Refusal;
use crate::http1::{Decoder, Piece, chunk};
use crate::upstream::Answer;

/// First size of a buffer; grows with what comes.
pub(super) const SMALL: usize = 4 * 1024;
/// Largest size of a buffer.
pub(super) const LARGE: usize = 64 * 1024;
/// Largest answer that is filtered whole.
const MAX_FILTERED: usize = 64 << 20;
/// Longest line of a stream that is filtered.
const MAX_LINE: usize = 1 << 20;

/// Writes an answer to the client.
pub(super) struct Relay<'a, W> {
    pub(super) to_client: &'a mut W,
    pub(super) progress: &'a Progress,
    pub(super) close: bool,
}

impl<W: AsyncWrite + Unpin> Relay<'_, W> {
    async fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        self.progress.begun.store(true, Ordering::Relaxed);
        let written = self.progress.clock.of_client(async {
            self.to_client.write_all(bytes).await?;
            self.to_client.flush().await
        });
        written.await.map_err(|_| Trouble::Client)
    }

    /// An answer whose body is at hand.
    pub(super) async fn whole(&mut self, answer: &Answer, body: &[u8]) -> Result<(), Trouble> {
        let mut out =
            answer::begin(answer.status, &answer.lines, &format!("Content-Length: {}\r\n", body.len()), self.close);
        out.extend_from_slice(body);
        self.write(&out).await
    }

    /// An answer passed on as it comes.
    pub(super) async fn pass<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        buffer: &mut BytesMut,
        answer: &mut Answer,
    ) -> Result<(), Trouble> {
        let (framing, chunked) = match &answer.body {
            Decoder::Done => (String::new(), false),
            Decoder::Length(length) => (format!("Content-Length: {length}\r\n"), false),
            Decoder::Chunked(_) | Decoder::UntilEof => ("Transfer-Encoding: chunked\r\n".to_owned(), true),
        };
        let mut out = answer::begin(answer.status, &answer.lines, &framing, self.close);
        let mut last = 0;
        loop {
            let mut ended = loop {
                match next(&mut answer.body, buffer)? {
                    Piece::Data(data) if chunked => chunk(&mut out, &data),
                    Piece::Data(data) => out.extend_from_slice(&data),
                    Piece::End => break true,
                    Piece::More => break false,
                }
            };
            if !ended && !out.is_empty() && out.len() < LARGE {
                // The daemon writes an answer in pieces, a moment apart: what is
                // there by now goes out in one record.
                tokio::task::yield_now().await;
                tokio::select! {
                    biased;
                    come = more(from, buffer, &mut last, answer.body == Decoder::UntilEof) => {
                        if come? {
                            continue;
                        }
                        ended = true;
                    }
                    () = std::future::ready(()) => {}
                }
            }
            if !ended && !out.is_empty() {
                self.write(&out).await?;
                out.clear();
            }
            if !ended {
                ended = !more(from, buffer, &mut last, answer.body == Decoder::UntilEof).await?;
            }
            if ended {
                if chunked {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
                return if out.is_empty() { Ok(()) } else { self.write(&out).await };
            }
        }
    }

    /// A stream of JSON documents, one a line, each passed on as `filter` has it.
    pub(super) async fn lines<R: AsyncRead + Unpin>(
        &mut self,
        from: &mut R,
        buffer: &mut BytesMut,
        answer: &mut Answer,
        filter: impl Fn(&[u8]) -> Result<Option<Vec<u8>>, Refusal>,
    ) -> Result<(), Trouble> {
        let filtered = |line: &mut Vec<u8>, out: &mut Vec<u8>| {
            if let Some(mut kept) = filter(line.trim_ascii()).map_err(Trouble::Refused)? {
                kept.push(b'\n');
                chunk(out, &kept);
            }
            line.clear();
            Ok(())
        };
        let mut out = answer::begin(answer.status, &answer.lines, "Transfer-Encoding: chunked\r\n", self.close);
        let (mut line, mut last) = (Vec::new(), 0);
        loop {
            let mut ended = match next(&mut answer.body, buffer)? {
                Piece::Data(data) => {
                    for byte in data {
                        line.push(byte);
                        if byte == b'\n' {
                            filtered(&mut line, &mut out)?;
                        }
                    }
                    if line.len() > MAX_LINE {
                        return Err(Trouble::Daemon("a line is too long".into()));
                    }
                    continue;
                }
                Piece::End => true,
                Piece::More => false,
            };
            if !ended {
                if !out.is_empty() {
                    self.write(&out).await?;
                    out.clear();
                }
                ended = !more(from, buffer, &mut last, answer.body == Decoder::UntilEof).await?;
            }
            if ended {
                filtered(&mut line, &mut out)?;
                out.extend_from_slice(b"0\r\n\r\n");
                return self.write(&out).await;
            }
        }
    }
}

/// Makes room for the next read: much, once much has come.
pub(super) fn room(buffer: &mut BytesMut, last: usize) {
    if last >= SMALL {
        buffer.reserve(LARGE);
    } else if buffer.is_empty() && buffer.capacity() > SMALL {
        // A stream with little to say waits with little memory.
        *buffer = BytesMut::with_capacity(SMALL);
    } else {
        buffer.reserve(SMALL);
    }
}

/// Reads more of the answer. False at its end by closing.
async fn more<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    last: &mut usize,
    until_eof: bool,
) -> Result<bool, Trouble> {
    room(buffer, *last);
    match from.read_buf(buffer).await {
        Ok(0) if until_eof => Ok(false),
        Ok(0) => Err(Trouble::Daemon("it closed the connection midway".into())),
        Ok(count) => {
            *last = count;
            Ok(true)
        }
        Err(error) => Err(Trouble::Daemon(error.to_string())),
    }
}

fn next(body: &mut Decoder, buffer: &mut BytesMut) -> Result<Piece, Trouble> {
    body.next(buffer).map_err(|_| Trouble::Daemon("its answer is malformed".into()))
}

/// The whole of an answer's body, to be filtered.
pub(super) async fn collect<R: AsyncRead + Unpin>(
    from: &mut R,
    buffer: &mut BytesMut,
    answer: &mut Answer,
) -> Result<Vec<u8>, Trouble> {
    let (mut whole, mut last) = (Vec::new(), 0);
    loop {
        match next(&mut answer.body, buffer)? {
            Piece::Data(data) => whole.extend_from_slice(&data),
            Piece::End => return Ok(whole),
            Piece::More => {
                if !more(from, buffer, &mut last, answer.body == Decoder::UntilEof).await? {
                    return Ok(whole);
                }
            }
        }
        if whole.len() > MAX_FILTERED {
            return Err(Trouble::Refused(refused(
                503,
                "filter.size",
                "the daemon's answer is too large to be filtered",
            )));
        }
    }
}
