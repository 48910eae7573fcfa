//! Whether Cloud Services accept a secret in the form in which it is stored. They read two forms and no other: a
//! vault certificate's PFX under the content type `application/x-pkcs12`, and under any other content type the base64
//! of a JSON document (`certificateUrl` in the API's description of a vault certificate).

use serde::Serialize;

use super::pkcs12::{Cipher, HashName, MacForm, Pkcs12Form};
use super::wrapping::{Charset, JsonForm, Wrapping};
use super::{Container, OpenedSecret, SecretForm};

/// Whether Cloud Services accept a form. The texts are fragments: what is stored, what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "answer", content = "reason", rename_all = "snake_case")]
pub enum Deployable {
    /// By their documentation.
    Yes,
    /// The documents contradict each other or are silent.
    Uncertain(&'static str),
    /// They refuse it.
    No(&'static str),
}

impl OpenedSecret {
    /// Whether Cloud Services accept this form. For a file: whether they accept a secret with this text as its value
    /// and no content type.
    pub fn deployable(&self) -> Deployable {
        self.form.deployable()
    }
}

impl SecretForm {
    fn deployable(&self) -> Deployable {
        let content_type = self.content_type.as_deref().map_or("", str::trim);
        let says_pkcs12 = content_type.eq_ignore_ascii_case("application/x-pkcs12");
        match (says_pkcs12, &self.wrapping, &self.container) {
            (_, Wrapping::None, Container::Pem) | (_, Wrapping::Base64(_), Container::Pem) => Deployable::No(
                "it is PEM, which Cloud Services do not read; expected PKCS#12: set the content type of the \
                 certificate's policy to `application/x-pkcs12`",
            ),
            (_, Wrapping::None, Container::Pkcs12(_) | Container::Der) => Deployable::No(
                "it is a file in binary, which a secret cannot hold; expected a vault certificate, or the base64 of \
                 a JSON document with the file as `data`",
            ),
            (true, Wrapping::Base64(spelling), Container::Pkcs12(_)) => {
                if spelling.is_strict() {
                    Deployable::Yes
                } else {
                    LOOSE_BASE64
                }
            }
            (true, Wrapping::Base64(_), Container::Der) => Deployable::No(
                "its content type promises PKCS#12, and it is a bare certificate; expected PKCS#12, which may hold \
                 a certificate without a key",
            ),
            (true, Wrapping::Json(_), _) => Deployable::No(
                "its content type promises PKCS#12, and it is a JSON document; expected no content type for that",
            ),
            (false, Wrapping::Base64(_), Container::Pkcs12(_) | Container::Der) => Deployable::No(
                "it is base64 of a container without a JSON document around it, which Cloud Services call \"not \
                 deserializable into JSON\"; expected the content type `application/x-pkcs12` or that document",
            ),
            (false, Wrapping::Json(json), container) => of_json(json, container),
        }
    }
}

const LOOSE_BASE64: Deployable = Deployable::Uncertain(
    "its base64 lacks its padding or is written for URLs, which Cloud Services may call \"not a properly encoded \
     Base64 string\"; expected plain base64",
);

fn of_json(json: &JsonForm, container: &Container) -> Deployable {
    let Some(encoded) = json.encoded else {
        return Deployable::No(
            "it is a JSON document as it is, which Cloud Services call \"not a properly encoded Base64 string\"; \
             expected the base64 of it: `az keyvault secret set --file FILE --encoding base64`",
        );
    };
    let Some(data) = json.data else {
        return Deployable::No("`data` of its JSON is PEM text; expected the base64 of a PFX");
    };
    if !encoded.is_strict() || !data.is_strict() {
        return LOOSE_BASE64;
    }
    if json.charset != Charset::Utf8 {
        return Deployable::Uncertain(
            "its JSON is UTF-16 or begins with a byte order mark; expected UTF-8 without one",
        );
    }
    match &json.data_type {
        None => return Deployable::Uncertain("its JSON has no member `dataType`; expected `pfx`"),
        Some(kind) if !kind.eq_ignore_ascii_case("pfx") => {
            return Deployable::No("`dataType` of its JSON is another; expected `pfx`");
        }
        Some(_) => {}
    }
    match container {
        Container::Pkcs12(form) if is_modern(form) => Deployable::Uncertain(
            "its PFX is encrypted with AES (PBES2) or has a SHA-2 MAC, which the documents of classic Cloud Services refuse; \
             expected 3DES with a SHA-1 MAC: `openssl pkcs12 -export -keypbe PBE-SHA1-3DES -certpbe PBE-SHA1-3DES \
             -macalg sha1`",
        ),
        Container::Pkcs12(_) => Deployable::Yes,
        Container::Der | Container::Pem => Deployable::Uncertain(
            "`data` of its JSON is a bare certificate, which one document reports to work and another calls \
             unsupported; expected a PFX, which may hold a certificate without a key",
        ),
    }
}

fn is_modern(form: &Pkcs12Form) -> bool {
    form.ciphers.iter().any(|cipher| matches!(cipher, Cipher::Pbes2 { .. }))
        || !matches!(form.mac, MacForm::None | MacForm::Hmac(HashName::Sha1))
}
