//! The request to the daemon while it is being written.

use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};

use super::super::{Body, Forward, QuotaGuard, Refusal, ResponseRule, percent};
use super::filters::Filters;
use super::parse::Call;
use super::refusal::malformed;
use super::routes::Route;
use crate::name::TenantName;

/// Everything of a [`Forward`], each part still apart.
pub struct RequestBuilder {
    route: &'static Route,
    name: Option<String>,
    /// Keys and values, not yet encoded.
    pub query: Vec<(&'static str, String)>,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// The body.
    pub body: Body,
    /// What becomes of the answer.
    pub response: ResponseRule,
    /// Whether nothing is attached to what is started, so that the connection is
    /// not taken over.
    pub detached: bool,
    /// For the audit log.
    pub object: Option<String>,
    /// Held until the daemon has answered.
    pub quota_guard: QuotaGuard,
    /// A text in the daemon's answer and what the client reads in its place.
    pub replace: Option<(String, String)>,
}

impl RequestBuilder {
    /// A draft with the call's query and nothing else.
    pub fn new(call: &Call) -> RequestBuilder {
        RequestBuilder {
            route: call.route,
            name: None,
            query: call.query.clone(),
            headers: Vec::new(),
            body: Body::Empty,
            response: ResponseRule::Pass,
            detached: false,
            object: None,
            quota_guard: QuotaGuard::default(),
            replace: None,
        }
    }

    /// Sets what the path's variable becomes.
    pub fn name(&mut self, name: &str) {
        self.name = Some(name.to_owned());
        self.object.get_or_insert_with(|| name.to_owned());
    }

    /// Sets a query key.
    pub fn put(&mut self, key: &'static str, value: String) {
        self.query.retain(|(known, _)| *known != key);
        self.query.push((key, value));
    }

    /// Sets the filters; none where there are none.
    pub fn filters(&mut self, filters: &Filters) {
        self.query.retain(|(key, _)| *key != "filters");
        let text = filters.write();
        if !text.is_empty() {
            self.query.push(("filters", text));
        }
    }

    /// Sets a JSON body.
    pub fn json(&mut self, body: Vec<u8>) {
        self.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/json")));
        self.body = Body::Bytes(body);
    }

    /// Sets a streamed tar.
    pub fn tar(&mut self, limit: u64) {
        self.headers.push((CONTENT_TYPE, HeaderValue::from_static("application/x-tar")));
        self.body = Body::Stream { limit };
    }

    /// Adds a credentials header.
    ///
    /// # Errors
    /// 400 if it cannot be a header.
    pub fn auth(&mut self, name: &'static str, value: Option<String>) -> Result<(), Refusal> {
        if let Some(value) = value {
            let mut value = HeaderValue::try_from(value)
                .map_err(|_| malformed("registry.auth", "the credentials header is not acceptable"))?;
            value.set_sensitive(true);
            self.headers.push((HeaderName::from_static(name), value));
        }
        Ok(())
    }

    /// The finished request.
    ///
    /// # Errors
    /// 400 if the path lacks its name, which no client can bring about.
    pub fn finish(self, version: Option<u16>, rule: String, tenant: Option<&TenantName>) -> Result<Forward, Refusal> {
        let mut path = version.map(|minor| format!("/v1.{minor}")).unwrap_or_default();
        for part in self.route.path.split('/').skip(1) {
            path.push('/');
            if part.starts_with('{') {
                let name =
                    self.name.as_deref().ok_or_else(|| malformed("path.name", "the object's name is missing"))?;
                percent::encode(name, "/:@", &mut path);
            } else {
                path.push_str(part);
            }
        }
        let mut joint = '?';
        for (key, value) in &self.query {
            path.push(joint);
            joint = '&';
            path.push_str(key);
            path.push('=');
            percent::encode(value, "", &mut path);
        }
        let method = http::Method::from_bytes(self.route.method.as_bytes())
            .map_err(|_| malformed("http.method", "the method is not acceptable"))?;
        Ok(Forward {
            operation: self.route.operation,
            object: self.object,
            rule,
            method,
            path_and_query: path,
            headers: self.headers,
            body: self.body,
            response: self.response,
            tenant: tenant.cloned(),
            quota_guard: self.quota_guard,
            replace: self.replace,
        })
    }
}
