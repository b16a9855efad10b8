//! HTTP/1.1 messages as bytes on a socket, for both ends; strict, so that sloppy framing fails a test.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::PATIENCE;

/// Header fields in order, names in lower case.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(pub(crate) Vec<(String, String)>);

impl Fields {
    /// The values of a field.
    pub(crate) fn values(&self, name: &str) -> Vec<&str> {
        self.0.iter().filter(|(own, _)| own == name).map(|(_, value)| value.as_str()).collect()
    }

    /// The value of a field that stands at most once.
    #[track_caller]
    pub(crate) fn one(&self, name: &str) -> Option<&str> {
        let values = self.values(name);
        assert!(values.len() < 2, "{name} stands {} times: {values:?}", values.len());
        values.first().copied()
    }
}

/// A head: the first line and the fields.
#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) line: String,
    pub(crate) fields: Fields,
}

impl Head {
    /// How the body is framed, if fields say so.
    #[track_caller]
    pub(crate) fn framing(&self) -> Option<Framing> {
        let length = self.fields.one("content-length");
        match self.fields.one("transfer-encoding") {
            Some(coding) => {
                assert_eq!((coding, length), ("chunked", None), "{self:?}");
                Some(Framing::Chunked)
            }
            None => length.map(|length| Framing::Length(length.parse().unwrap())),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// A socket and what was read ahead from it.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

impl Wire {
    pub(crate) fn new(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, ahead: Vec::new() }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    /// The next head; nothing at a clean end.
    pub(crate) fn head(&mut self) -> io::Result<Option<Head>> {
        if self.ahead.is_empty() && self.more()? == 0 {
            return Ok(None);
        }
        let mut lines = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            lines.push(line);
        }
        let mut lines = lines.into_iter();
        let line = lines.next().unwrap_or_default();
        let fields = lines
            .map(|field| {
                let (name, value) = field.split_once(':').ok_or_else(|| malformed(&field))?;
                Ok((name.to_ascii_lowercase(), value.trim().to_owned()))
            })
            .collect::<io::Result<_>>()?;
        Ok(Some(Head { line, fields: Fields(fields) }))
    }

    /// The body after a head; trailers are dropped.
    pub(crate) fn body(&mut self, framing: Framing, into: &mut Vec<u8>) -> io::Result<()> {
        match framing {
            Framing::Length(length) => self.exactly(length, into),
            Framing::Chunked => loop {
                let size = self.chunk_size()?;
                if size == 0 {
                    while !self.line()?.is_empty() {}
                    return Ok(());
                }
                self.exactly(size, into)?;
                self.chunk_end()?;
            },
        }
    }

    /// The size of the next chunk.
    pub(crate) fn chunk_size(&mut self) -> io::Result<usize> {
        let line = self.line()?;
        let size = line.split(';').next().unwrap_or_default();
        usize::from_str_radix(size, 16).map_err(|_not_hexadecimal| malformed(&line))
    }

    /// The line end after a chunk.
    pub(crate) fn chunk_end(&mut self) -> io::Result<()> {
        let end = self.line()?;
        if end.is_empty() { Ok(()) } else { Err(malformed(&end)) }
    }

    /// Everything up to the end of the stream.
    pub(crate) fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more()? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// At most `most` bytes, at least one; nothing at the end.
    pub(crate) fn some(&mut self, most: usize) -> io::Result<Vec<u8>> {
        if self.ahead.is_empty() && self.more()? == 0 {
            return Ok(Vec::new());
        }
        let rest = self.ahead.split_off(most.min(self.ahead.len()));
        Ok(std::mem::replace(&mut self.ahead, rest))
    }

    fn line(&mut self) -> io::Result<String> {
        let mut seen = 0;
        loop {
            if let Some(at) = self.ahead[seen..].iter().position(|&byte| byte == b'\n') {
                let rest = self.ahead.split_off(seen + at + 1);
                let line = String::from_utf8_lossy(&std::mem::replace(&mut self.ahead, rest)).into_owned();
                return line.strip_suffix("\r\n").map(str::to_owned).ok_or_else(|| malformed(&line));
            }
            seen = self.ahead.len();
            if self.more()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    fn exactly(&mut self, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
        let mut left = length;
        while left > 0 {
            let some = self.some(left)?;
            if some.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= some.len();
            into.extend(some);
        }
        Ok(())
    }

    fn more(&mut self) -> io::Result<usize> {
        let mut room = [0; 64 * 1024];
        let read = self.stream.read(&mut room)?;
        self.ahead.extend_from_slice(&room[..read]);
        Ok(read)
    }
}

fn malformed(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text.to_owned())
}
