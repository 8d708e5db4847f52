//! The local socket: whoever can open it has the session.

use std::fs::{self, DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// Bytes in the path of a Unix socket, its end included (unix(7)).
const LONGEST: usize = 108;

/// Why there is no socket.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct SocketError {
    path: PathBuf,
    why: String,
}

/// A socket that its owner alone can open; its file goes when this is dropped.
#[derive(Debug)]
pub struct LocalSocket {
    path: PathBuf,
    listener: Option<std::os::unix::net::UnixListener>,
}

impl LocalSocket {
    /// Where the socket of a name is by default: below `$XDG_RUNTIME_DIR`,
    /// else below `.stockade` in this folder.
    pub fn default_path(name: &str) -> PathBuf {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let folder = runtime.map_or_else(|| PathBuf::from(".stockade/connect"), |path| path.join("stockade"));
        folder.join(format!("{name}.sock"))
    }

    /// Listens at a path. Its folder is made, with mode 0700, or must be the
    /// user's own and closed to others; a socket nobody listens at is replaced.
    ///
    /// # Errors
    /// The folder is open to others, somebody listens there already, something
    /// else is in the way, or the path is too long.
    pub fn bind(path: &Path) -> Result<LocalSocket, SocketError> {
        let wrong = |why: String| SocketError { path: path.to_owned(), why };
        let path = std::path::absolute(path).map_err(|error| wrong(error.to_string()))?;
        let wrong = |why: String| SocketError { path: path.clone(), why };
        if path.as_os_str().len() >= LONGEST {
            return Err(wrong("the path is too long for a socket; give a shorter one with --socket".to_owned()));
        }
        let folder = path.parent().ok_or_else(|| wrong("is not a path of a file".to_owned()))?;
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| wrong(error.to_string()))?;
        let data = fs::metadata(folder).map_err(|error| wrong(error.to_string()))?;
        // Between bind and chmod the folder is what keeps others out.
        if data.uid() != rustix::process::geteuid().as_raw() || data.mode() & 0o077 != 0 {
            return Err(wrong(format!("{} must be yours alone: chmod 700 it, or choose another", folder.display())));
        }
        match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(wrong(error.to_string())),
            Ok(data) if !data.file_type().is_socket() => {
                return Err(wrong("is there and is not a socket; remove it or choose another path".to_owned()));
            }
            Ok(_) => {
                if std::os::unix::net::UnixStream::connect(&path).is_ok() {
                    return Err(wrong(
                        "another 'stockade connect' serves here; use that one, or give --context another name"
                            .to_owned(),
                    ));
                }
                fs::remove_file(&path).map_err(|error| wrong(error.to_string()))?;
            }
        }
        let listener = std::os::unix::net::UnixListener::bind(&path).map_err(|error| wrong(error.to_string()))?;
        let socket = LocalSocket { path: path.clone(), listener: Some(listener) };
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(|error| wrong(error.to_string()))?;
        Ok(socket)
    }

    /// The absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What accepts connections; to be called once, inside a runtime.
    ///
    /// # Errors
    /// The system refuses, or it was called before.
    pub fn listener(&mut self) -> Result<tokio::net::UnixListener, SocketError> {
        let wrong = |why: String| SocketError { path: self.path.clone(), why };
        let listener = self.listener.take().ok_or_else(|| wrong("is being served already".to_owned()))?;
        listener
            .set_nonblocking(true)
            .and_then(|()| tokio::net::UnixListener::from_std(listener))
            .map_err(|error| wrong(error.to_string()))
    }
}

impl Drop for LocalSocket {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_socket_and_its_folder_are_for_their_owner_alone_and_the_socket_goes_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/x.sock");
        let socket = LocalSocket::bind(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(folder.path().join("new")).unwrap().mode() & 0o777, 0o700);
        assert!(LocalSocket::bind(&path).unwrap_err().to_string().contains("another 'stockade connect'"));
        drop(socket);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_that_a_crash_left_is_replaced_and_any_other_file_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own/x.sock");
        drop(LocalSocket::bind(&path).unwrap());
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(LocalSocket::bind(&path).unwrap());
        fs::write(&path, "mine").unwrap();
        assert!(LocalSocket::bind(&path).unwrap_err().to_string().contains("is not a socket"));
        assert_eq!(fs::read(&path).unwrap(), b"mine");
    }

    #[test]
    fn a_folder_that_others_may_enter_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let open = folder.path().join("open");
        fs::create_dir(&open).unwrap();
        fs::set_permissions(&open, Permissions::from_mode(0o755)).unwrap();
        let error = LocalSocket::bind(&open.join("x.sock")).unwrap_err();
        assert!(error.to_string().contains("chmod 700"), "{error}");
        assert!(!open.join("x.sock").exists());
    }
}
