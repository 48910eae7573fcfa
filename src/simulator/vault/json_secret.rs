//! Secrets of the form that Compute takes besides vault certificates: base64 of JSON with a base64 PFX inside.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

/// Length of a line as `az keyvault secret set --encoding base64` writes it: Python's `encodebytes`.
const LINE: usize = 76;

/// The JSON of such a secret, with the variations that are seen in the wild.
#[derive(Clone, Debug)]
pub struct JsonSecret {
    data: Vec<u8>,
    data_type: String,
    password: Option<String>,
}

impl JsonSecret {
    /// With `data` (a PFX as a rule, or a bare certificate), `dataType` `pfx` and this password.
    pub fn new(data: &[u8], password: &str) -> Self {
        Self { data: data.to_vec(), data_type: "pfx".to_owned(), password: Some(password.to_owned()) }
    }

    /// With `dataType` in another spelling.
    #[must_use]
    pub fn data_type(mut self, data_type: &str) -> Self {
        data_type.clone_into(&mut self.data_type);
        self
    }

    /// Without the member `password`.
    #[must_use]
    pub fn without_password(mut self) -> Self {
        self.password = None;
        self
    }

    /// The JSON itself, which no deployment accepts as a secret's value.
    pub fn json(&self) -> String {
        let mut json = Map::new();
        json.insert("data".to_owned(), STANDARD.encode(&self.data).into());
        json.insert("dataType".to_owned(), self.data_type.as_str().into());
        if let Some(password) = &self.password {
            json.insert("password".to_owned(), password.as_str().into());
        }
        Value::Object(json).to_string()
    }

    /// Base64 of the JSON on one line, as PowerShell scripts write it.
    pub fn value(&self) -> String {
        STANDARD.encode(self.json())
    }

    /// Base64 of the JSON with a newline after every 76 characters and at the end, as az writes it. It goes with no
    /// content type and the tag `file-encoding` = `base64`.
    pub fn az_value(&self) -> String {
        let mut text = self.value();
        let lines = text.len().div_ceil(LINE);
        for line in (1..=lines).rev() {
            text.insert((line * LINE).min(text.len()), '\n');
        }
        text
    }
}
