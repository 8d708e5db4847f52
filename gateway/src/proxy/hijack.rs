//! A connection that was taken over (attach, exec): bytes both ways, and the
//! end of one direction is carried without ending the other (`exec -i` closes
//! its input and waits for the output).

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::exchange::Takeover;
use super::lease::Lease;
use super::{Client, answer};
use crate::upstream::{Answer, Link};

/// First size of a buffer; an idle stream keeps no more.
const SMALL: usize = 4 * 1024;
/// Size of a buffer once much has come.
const LARGE: usize = 128 * 1024;
/// After the daemon's end, how long the client may take to end its side.
const AFTER: Duration = Duration::from_secs(30);

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Copies until both sides have ended, one breaks, or the lease is over.
    /// Returns why it ended, if not by itself.
    pub(super) async fn take_over(
        &mut self,
        answer: &Answer,
        takeover: Takeover,
        mut link: Link,
        lease: &mut Lease<'_>,
    ) -> Option<&'static str> {
        let mut head = match takeover {
            Takeover::Upgrade => answer::begin(101, &answer.lines, "Connection: Upgrade\r\nUpgrade: tcp\r\n", false),
            // Without framing it ends with the connection (RFC 9112, 6.3). The daemon's own head of
            // a stream without an upgrade has this one line, whatever the version of its API.
            Takeover::Raw => answer::begin(200, b"Content-Type: application/vnd.docker.raw-stream\r\n", "", false),
        };
        head.extend_from_slice(&link.buffer);
        link.buffer.clear();
        // With a raw stream whatever came after the request is input.
        let early = std::mem::take(&mut self.buffer);
        let (mut from_client, mut to_client) = tokio::io::split(&mut self.io);
        let (mut from_daemon, mut to_daemon) = link.stream.split();
        let copied = async {
            if to_client.write_all(&head).await.is_err() || to_client.flush().await.is_err() {
                return Some("client gone");
            }
            let up = async {
                to_daemon.write_all(&early).await.map_err(|_| Broken::Writing)?;
                drop(early);
                pump(&mut from_client, &mut to_daemon).await
            };
            let (up, down) = (up, pump(&mut from_daemon, &mut to_client));
            tokio::pin!(up, down);
            tokio::select! {
                ended = &mut down => {
                    if ended.is_err() {
                        return Some("cut");
                    }
                    let _ = tokio::time::timeout(AFTER, up).await;
                    None
                }
                // A client that was cut off did not end its input.
                ended = &mut up => match ended {
                    Ok(()) | Err(Broken::Writing) => down.await.err().map(|_| "cut"),
                    Err(Broken::Reading) => Some("client gone"),
                }
            }
        };
        tokio::select! {
            ended = copied => ended,
            end = lease.ended() => Some(end.word()),
        }
    }
}

/// Which side broke.
enum Broken {
    Reading,
    Writing,
}

async fn pump<R, W>(from: &mut R, to: &mut W) -> Result<(), Broken>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut buffer = Vec::with_capacity(SMALL);
    loop {
        buffer.clear();
        let count = from.read_buf(&mut buffer).await.map_err(|_| Broken::Reading)?;
        if count == 0 {
            return ended(to.shutdown().await);
        }
        to.write_all(&buffer).await.map_err(|_| Broken::Writing)?;
        to.flush().await.map_err(|_| Broken::Writing)?;
        if count == buffer.capacity() && count < LARGE {
            buffer.reserve_exact(LARGE);
        }
    }
}

/// A side that is closed already has ended.
fn ended(shutdown: io::Result<()>) -> Result<(), Broken> {
    match shutdown {
        Err(error) if error.kind() != io::ErrorKind::NotConnected => Err(Broken::Writing),
        _ => Ok(()),
    }
}
