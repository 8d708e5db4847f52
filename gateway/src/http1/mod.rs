//! HTTP/1.1 as the gateway reads it from clients: one strict reading, or a refusal.
//!
//! General servers settle an ambiguous request silently (hyper drops a
//! `Content-Length` that follows `Transfer-Encoding`, httparse takes a bare
//! line feed as a line's end), and what has been settled can no longer be
//! refused. So head and framing are read here, by RFC 9112 without its
//! leniencies, and the same decoder reads the daemon's answers.

mod framing;
mod head;

pub use framing::{Decoder, Piece, chunk};
pub use head::{BadHead, Framing, Head, MAX_HEAD, head_end, parse};
