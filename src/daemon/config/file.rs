//! Reading files of a bounded size.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

/// Reads a whole file, unless it is larger than `limit` bytes.
pub(crate) fn read_limited(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    if file.metadata()?.is_dir() {
        return Err(io::Error::other("it is a directory"));
    }
    read_stream_limited(file, limit)
}

/// Reads a stream to its end, unless that is beyond `limit` bytes.
pub(crate) fn read_stream_limited(stream: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    let read = stream.take(limit + 1).read_to_end(&mut content)?;
    if u64::try_from(read).is_ok_and(|read| read > limit) {
        return Err(io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(content)
}

/// Whether users other than owner and group can read a file.
pub(crate) fn is_world_readable(path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::metadata(path).is_ok_and(|meta| meta.permissions().mode() & 0o004 != 0)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        false
    }
}
