//! A client's request, written out exactly as it is described.

/// The tenant of most tests.
pub(crate) const PROJECT: &str = "9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";
/// A token for it, as the stand-in reads them.
pub(crate) const TOKEN: &str = "user:9a3cfd1e0f9f4b3b8d0f8f0f3a1b2c3d";

/// The path of a tenant's checkpoints.
pub(crate) fn checkpoints(project: &str) -> String {
    format!("/v1/{project}/providers/{}/checkpoints", karbor_admission::demo::PROVIDER_ID)
}

/// A request with `Host` and a token, until told otherwise.
#[derive(Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Request {
    pub(crate) fn new(method: &str, target: &str) -> Self {
        let fields = [("Host", "karbor.test"), ("X-Auth-Token", TOKEN)];
        Self {
            method: method.to_owned(),
            target: target.to_owned(),
            fields: fields.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            body: Vec::new(),
        }
    }

    /// Adds a field.
    pub(crate) fn field(mut self, name: &str, value: &str) -> Self {
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces a field, or adds it.
    pub(crate) fn with(self, name: &str, value: &str) -> Self {
        self.without(name).field(name, value)
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(own, _)| !own.eq_ignore_ascii_case(name));
        self
    }

    /// To another target.
    pub(crate) fn at(self, target: &str) -> Self {
        Self { target: target.to_owned(), ..self }
    }

    /// The token of another tenant.
    pub(crate) fn token_of(self, project: &str) -> Self {
        self.with("X-Auth-Token", &format!("user:{project}"))
    }

    /// A body with its length.
    pub(crate) fn body(self, body: impl Into<Vec<u8>>) -> Self {
        let body = body.into();
        let length = body.len().to_string();
        Self { body, ..self.with("Content-Length", &length) }
    }

    /// A JSON body with its length.
    pub(crate) fn json(self, body: impl Into<Vec<u8>>) -> Self {
        self.with("Content-Type", "application/json").body(body)
    }

    /// The same body in chunks of `size` bytes.
    pub(crate) fn chunked(self, size: usize) -> Self {
        let mut body = Vec::new();
        for chunk in self.body.chunks(size) {
            body.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
            body.extend_from_slice(chunk);
            body.extend_from_slice(b"\r\n");
        }
        body.extend_from_slice(b"0\r\n\r\n");
        Self { body, ..self.without("Content-Length").field("Transfer-Encoding", "chunked") }
    }

    /// The head alone.
    pub(crate) fn head(&self) -> Vec<u8> {
        let mut text = format!("{} {} HTTP/1.1\r\n", self.method, self.target);
        for (name, value) in &self.fields {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str("\r\n");
        text.into_bytes()
    }

    /// The fields in order.
    pub(crate) fn fields(&self) -> &[(String, String)] {
        &self.fields
    }

    /// The body, as it is framed.
    pub(crate) fn content(&self) -> &[u8] {
        &self.body
    }

    /// All of it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head(), self.body.clone()].concat()
    }
}

impl std::fmt::Debug for Request {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(300)]);
        write!(f, "{}{body}", String::from_utf8_lossy(&self.head()))
    }
}
