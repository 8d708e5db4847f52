//! Bodies of control operations: read whole, within their limit and time.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::Client;
use crate::Refusal;
use crate::http1::{Decoder, Framing, Piece};

/// A refusal that concerns the form of a request.
pub(super) fn refused(status: u16, rule: &str, message: &str) -> Refusal {
    Refusal { status, message: message.into(), rule: rule.into(), operation: None }
}

/// The decoder of a body that is framed so.
pub(super) fn decoder(framing: Framing) -> Decoder {
    match framing {
        Framing::None => Decoder::Done,
        Framing::Length(length) => Decoder::Length(length),
        Framing::Chunked => Decoder::chunked(),
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Reads a body of at most `limit` bytes.
    pub(super) async fn whole_body(
        &mut self,
        framing: Framing,
        expects: bool,
        limit: u64,
        patience: Duration,
    ) -> Result<Vec<u8>, Refusal> {
        if framing == Framing::None {
            return Ok(Vec::new());
        }
        if limit == 0 {
            return Err(refused(400, "body.none", "this operation takes no body"));
        }
        let too_large = || refused(413, "body.size", &format!("the body is larger than {limit} bytes"));
        if matches!(framing, Framing::Length(length) if length > limit) {
            return Err(too_large());
        }
        let reading = async {
            if expects {
                self.send(b"HTTP/1.1 100 Continue\r\n\r\n").await.map_err(|_| gone())?;
            }
            let (mut decoder, mut body) = (decoder(framing), Vec::new());
            loop {
                match decoder
                    .next(&mut self.buffer)
                    .map_err(|_| refused(400, "http.framing", "malformed chunked body"))?
                {
                    Piece::Data(data) => body.extend_from_slice(&data),
                    Piece::End => return Ok(body),
                    Piece::More => {
                        self.buffer.reserve(8192);
                        if self.io.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                            return Err(gone());
                        }
                    }
                }
                if body.len() as u64 > limit {
                    return Err(too_large());
                }
            }
        };
        tokio::time::timeout(patience, reading)
            .await
            .map_err(|_| refused(408, "body.time", "the body took too long"))?
    }
}

fn gone() -> Refusal {
    refused(400, "body.cut", "the body ended before its end")
}
