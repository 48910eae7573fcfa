//! Resource Manager's errors, word for word where Microsoft's documents, issues or recordings have them.

use serde_json::{Value, json};

use crate::message::Reply;

/// An error that a request or an operation ends with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Problem {
    pub(crate) status: u16,
    pub(crate) code: String,
    pub(crate) message: String,
    pub(crate) target: Option<String>,
}

impl Problem {
    pub(crate) fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, code: code.to_owned(), message: message.into(), target: None }
    }

    /// 400 `InvalidParameter`, about this part of the body.
    pub(crate) fn invalid(target: &str, message: impl Into<String>) -> Self {
        let mut problem = Self::new(400, "InvalidParameter", message);
        problem.target = Some(target.to_owned());
        problem
    }

    /// 409 `OperationNotAllowed`.
    pub(crate) fn not_allowed(message: impl Into<String>) -> Self {
        Self::new(409, "OperationNotAllowed", message)
    }

    pub(crate) fn subscription_not_found(subscription: &str) -> Self {
        let message = format!("The subscription '{subscription}' could not be found.");
        Self::new(404, "SubscriptionNotFound", message)
    }

    pub(crate) fn group_not_found(group: &str) -> Self {
        Self::new(404, "ResourceGroupNotFound", format!("Resource group '{group}' could not be found."))
    }

    pub(crate) fn resource_not_found(kind: &str, name: &str, group: &str) -> Self {
        let message = format!(
            "The Resource '{kind}/{name}' under resource group '{group}' was not found. For more details please go \
             to https://aka.ms/ARMResourceNotFoundFix"
        );
        Self::new(404, "ResourceNotFound", message)
    }

    /// `{"code","message"}` with a target if there is one.
    pub(crate) fn body(&self) -> Value {
        let mut body = json!({ "code": self.code, "message": self.message });
        if let Some(target) = &self.target {
            body["target"] = json!(target);
        }
        body
    }

    pub(crate) fn reply(&self) -> Reply {
        Reply::json(self.status, json!({ "error": self.body() }))
    }
}
