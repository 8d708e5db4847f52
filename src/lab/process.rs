//! Runs a program to its end, but never longer than a limit.
//!
//! Both output streams and the input are pumped at once, so that no pipe can
//! fill up and stall the program. A program that exceeds its limit is killed.

use std::io::{Read, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use super::LabError;

/// What a program gets on its standard input.
pub(crate) enum Input<'a> {
    /// Nothing: `/dev/null`.
    Null,
    /// These bytes.
    Bytes(&'a [u8]),
    /// An open file.
    File(std::fs::File),
}

/// Runs `command` to its end and returns its status and output.
///
/// # Errors
/// [`LabError::Spawn`] when it cannot be started, [`LabError::TimedOut`] when
/// it took longer than `limit`; it is killed then.
pub(crate) fn run(mut command: Command, input: Input<'_>, limit: Duration) -> Result<Output, LabError> {
    let program = command.get_program().to_string_lossy().into_owned();
    let bytes = match input {
        Input::Null => {
            command.stdin(Stdio::null());
            None
        }
        Input::Bytes(bytes) => {
            command.stdin(Stdio::piped());
            Some(bytes.to_vec())
        }
        Input::File(file) => {
            command.stdin(Stdio::from(file));
            None
        }
    };
    let spawned = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|source| LabError::Spawn { program: program.clone(), source })?;
    if let (Some(bytes), Some(mut stdin)) = (bytes, child.stdin.take()) {
        // A program that ends without reading everything closes the pipe; its
        // exit status says more than the write error would.
        thread::spawn(move || stdin.write_all(&bytes));
    }
    let deadline = Instant::now() + limit;
    let out = drain(child.stdout.take());
    let err = drain(child.stderr.take());
    let ended = (|| {
        let stdout = out.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        let stderr = err.recv_timeout(deadline.saturating_duration_since(Instant::now()))?;
        Ok::<_, RecvTimeoutError>((stdout, stderr))
    })();
    let status = match ended {
        Ok(_) => wait_until(&mut child, deadline),
        Err(_) => None,
    };
    match (status, ended) {
        (Some(status), Ok((stdout, stderr))) => Ok(Output { status, stdout, stderr }),
        _ => {
            // It may have ended by itself just now; either way it is reaped.
            let _ = child.kill();
            let _ = child.wait();
            Err(LabError::TimedOut { what: program, seconds: limit.as_secs() })
        }
    }
}

/// Reads a stream to its end on a thread of its own.
fn drain(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        let mut all = Vec::new();
        if let Some(mut stream) = stream {
            // What was read before an error is still worth showing.
            let _ = stream.read_to_end(&mut all);
        }
        let _ = sender.send(all);
    });
    receiver
}

/// Waits for a child whose output has ended already.
fn wait_until(child: &mut Child, deadline: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < deadline => thread::sleep(Duration::from_millis(2)),
            _ => return None,
        }
    }
}

/// The last `count` lines of a program's output, standard error last.
pub(crate) fn tail(output: &Output, count: usize) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn input_and_output_larger_than_a_pipe_do_not_stall() {
        let sent = vec![b'x'; 1 << 20];
        let output = run(Command::new("cat"), Input::Bytes(&sent), Duration::from_secs(60)).unwrap();
        assert!(output.status.success());
        assert_eq!(output.stdout, sent);
    }

    #[test]
    fn a_program_over_its_limit_is_killed_and_said_so() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let error = run(command, Input::Null, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, LabError::TimedOut { .. }), "{error}");
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = run(Command::new("no-such-program-here"), Input::Null, Duration::from_secs(1)).unwrap_err();
        assert!(error.to_string().starts_with("no-such-program-here could not be started"), "{error}");
    }

    #[test]
    fn the_tail_keeps_the_last_lines_of_both_streams() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two; echo three >&2; exit 3"]);
        let output = run(command, Input::Null, Duration::from_secs(60)).unwrap();
        assert_eq!(tail(&output, 2), "two\nthree");
    }
}
