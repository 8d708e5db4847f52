//! Message bodies (RFC 9112, section 6): by length, in chunks, or until the end.
//!
//! Chunk extensions and trailers are refused: nothing that speaks to a Docker
//! daemon sends them, and both have carried smuggled requests.

use bytes::{Buf, Bytes, BytesMut};

/// Longest line that may hold a chunk's size.
const MAX_SIZE_LINE: usize = 16;

/// The body is not framed as its head said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed chunked body")]
pub struct BadFraming;

/// Reads one body out of a buffer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decoder {
    /// There is no more.
    Done,
    /// This many bytes are still to come.
    Length(u64),
    /// Chunks.
    Chunked(Chunk),
    /// Everything until the peer closes (answers only).
    UntilEof,
}

/// Where in a chunked body the decoder is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chunk {
    /// Before a size line.
    Size,
    /// Inside a chunk, with this many bytes to come.
    Data(u64),
    /// Before the line end that closes a chunk.
    Close,
    /// After the last chunk.
    Last,
}

/// What one step found.
#[derive(Debug, PartialEq, Eq)]
pub enum Piece {
    /// Some of the body.
    Data(Bytes),
    /// The buffer is used up; read more.
    More,
    /// The body is complete.
    End,
}

impl Decoder {
    /// A decoder of a chunked body.
    #[must_use]
    pub fn chunked() -> Self {
        Self::Chunked(Chunk::Size)
    }

    /// Takes the next piece out of `buffer`.
    ///
    /// # Errors
    /// When a chunk's size or end is not where it must be.
    pub fn next(&mut self, buffer: &mut BytesMut) -> Result<Piece, BadFraming> {
        loop {
            match self {
                Self::Done | Self::Length(0) => {
                    *self = Self::Done;
                    return Ok(Piece::End);
                }
                Self::UntilEof => {
                    return Ok(if buffer.is_empty() { Piece::More } else { Piece::Data(buffer.split().freeze()) });
                }
                Self::Length(left) => return Ok(take(buffer, left)),
                Self::Chunked(Chunk::Data(0)) => *self = Self::Chunked(Chunk::Close),
                Self::Chunked(Chunk::Data(left)) => return Ok(take(buffer, left)),
                Self::Chunked(Chunk::Size) => match size_line(buffer)? {
                    None => return Ok(Piece::More),
                    Some(0) => *self = Self::Chunked(Chunk::Last),
                    Some(size) => *self = Self::Chunked(Chunk::Data(size)),
                },
                Self::Chunked(Chunk::Close) => {
                    if !line_end(buffer)? {
                        return Ok(Piece::More);
                    }
                    *self = Self::Chunked(Chunk::Size);
                }
                Self::Chunked(Chunk::Last) => {
                    if !line_end(buffer)? {
                        return Ok(Piece::More);
                    }
                    *self = Self::Done;
                }
            }
        }
    }
}

fn take(buffer: &mut BytesMut, left: &mut u64) -> Piece {
    if buffer.is_empty() {
        return Piece::More;
    }
    let count = usize::try_from(*left).unwrap_or(usize::MAX).min(buffer.len());
    *left -= count as u64;
    Piece::Data(buffer.split_to(count).freeze())
}

fn line_end(buffer: &mut BytesMut) -> Result<bool, BadFraming> {
    match &buffer[..] {
        [b'\r', b'\n', ..] => {
            buffer.advance(2);
            Ok(true)
        }
        [] | [b'\r'] => Ok(false),
        _ => Err(BadFraming),
    }
}

fn size_line(buffer: &mut BytesMut) -> Result<Option<u64>, BadFraming> {
    let digits = buffer.iter().take(MAX_SIZE_LINE).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if digits == MAX_SIZE_LINE {
        return Err(BadFraming);
    }
    match &buffer[digits..] {
        [] => return Ok(None),
        [b'\r'] if digits > 0 => return Ok(None),
        [b'\r', b'\n', ..] if digits > 0 => {}
        _ => return Err(BadFraming),
    }
    let size = std::str::from_utf8(&buffer[..digits]).ok().and_then(|text| u64::from_str_radix(text, 16).ok());
    buffer.advance(digits + 2);
    size.map(Some).ok_or(BadFraming)
}

/// Writes the line that opens a chunk of `size` bytes.
fn chunk_start(out: &mut Vec<u8>, size: usize) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digits = (usize::BITS - size.max(1).leading_zeros()).div_ceil(4);
    for digit in (0..digits).rev() {
        out.push(HEX[(size >> (digit * 4)) & 15]);
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes data as one chunk.
pub fn chunk(out: &mut Vec<u8>, data: &[u8]) {
    chunk_start(out, data.len());
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// Feeds `text` in pieces of `step` bytes and collects the body.
    fn decode(text: &[u8], step: usize) -> Result<Option<Vec<u8>>, BadFraming> {
        let (mut decoder, mut buffer, mut body) = (Decoder::chunked(), BytesMut::new(), Vec::new());
        for part in text.chunks(step) {
            buffer.extend_from_slice(part);
            loop {
                match decoder.next(&mut buffer)? {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::More => break,
                    Piece::End => return Ok(Some(body)),
                }
            }
        }
        Ok(None)
    }

    #[test]
    fn a_chunked_body_is_the_same_however_it_arrives() {
        let text = b"5\r\nhello\r\n1a\r\nabcdefghijklmnopqrstuvwxyz\r\n0\r\n\r\n";
        for step in 1..text.len() {
            assert_eq!(decode(text, step).unwrap().unwrap(), b"helloabcdefghijklmnopqrstuvwxyz", "step {step}");
        }
    }

    #[test]
    fn a_cut_body_is_not_complete() {
        assert_eq!(decode(b"5\r\nhel", 3), Ok(None));
        assert_eq!(decode(b"5\r\nhello\r\n0\r\n", 3), Ok(None));
    }

    #[test]
    fn ambiguous_chunks_are_refused() {
        for text in [
            &b"5;ext=1\r\nhello\r\n0\r\n\r\n"[..],
            b"5\nhello\r\n0\r\n\r\n",
            b"5\r\nhello\n0\r\n\r\n",
            b"+5\r\nhello\r\n0\r\n\r\n",
            b"0x5\r\nhello\r\n0\r\n\r\n",
            b" 5\r\nhello\r\n0\r\n\r\n",
            b"\r\nhello\r\n0\r\n\r\n",
            b"ffffffffffffffffff\r\nhello",
            b"5\r\nhello!\r\n0\r\n\r\n",
            b"0\r\nX-Trailer: 1\r\n\r\n",
        ] {
            assert_eq!(decode(text, 64), Err(BadFraming), "{}", String::from_utf8_lossy(text));
        }
    }

    #[test]
    fn chunk_sizes_are_written_as_they_are_read() {
        for size in [1, 9, 10, 15, 16, 255, 256, 65_535, 1 << 20] {
            let mut line = Vec::new();
            chunk_start(&mut line, size);
            assert_eq!(line, format!("{size:x}\r\n").into_bytes());
        }
    }
}
