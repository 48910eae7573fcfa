//! What no document settles about events and their delivery, and what Event Grid may do to them at any time.

crate::switches::switches! {
    /// One answer for each unsettled fact of Event Grid.
    Switches:
    /// What a new version of a certificate tells, which is a version of a key and of a secret too.
    renewal: Renewal {
        /// All three.
        ThreeEvents,
        /// The certificate's alone.
        CertificateAlone
    }
    /// How the members of an event's data are written: published schemas differ.
    members: Members {
        /// `VaultName`, `NBF`.
        Pascal,
        /// `vaultName`, `nbf`.
        Camel
    }
    /// `NBF` and `EXP`: a schema has numbers, a sample text, and captures have null.
    validity: Validity {
        /// Always null.
        Null,
        /// Seconds as a fraction, such as `1795421730.0`.
        Number,
        /// Seconds as text.
        Text
    }
    /// Blanks at the end of a member's name and at the begin of a value, as a published sample has them.
    blanks: Blanks {
        /// None.
        Absent,
        /// As in the sample.
        Stray
    }
    /// The subscription's name in `aeg-subscription-name`.
    subscription_name: SubscriptionName {
        /// In upper case, as captures have it.
        UpperCase,
        /// As it was given.
        AsGiven
    }
    /// Digits of a second in `eventTime` and `time`.
    event_time: EventTime {
        /// Always seven, one more than many parsers take.
        SevenDigits,
        /// None.
        WholeSeconds
    }
    /// Whether a version that is older than the subscription tells of its expiry.
    earlier_versions: EarlierVersions {
        /// Nothing.
        Silent,
        /// It does.
        Told
    }
    /// How often a version tells that its expiry is near.
    near_expiry: NearExpiry {
        /// Once.
        Once,
        /// Each day.
        Daily
    }
    /// Events of a vault that lets nobody in from public networks.
    closed_vault: ClosedVault {
        /// They are sent.
        Told,
        /// There are none.
        Silent
    }
    /// A webhook that answers 404: the published lists of what is never retried have moved.
    not_found: NotFound {
        /// Never retried.
        Final,
        /// Retried after five minutes at the earliest.
        Retried
    }
    /// A webhook that answers 403.
    forbidden: Forbidden {
        /// Never retried.
        Final,
        /// Retried.
        Retried
    }
    /// When a delivery is tried again.
    retry_times: RetryTimes {
        /// To the second of the published schedule.
        Exact,
        /// Up to a tenth later, another share for each event.
        Spread
    }
    /// `data` of the validation event.
    validation_data: ValidationData {
        /// An object.
        Object,
        /// Text that holds an object, as Microsoft's own receiver tolerates it.
        Text
    }
    /// A validation that is answered without a `Content-Length`.
    chunked_validation: ChunkedValidation {
        /// Taken.
        Taken,
        /// Refused, as was once reported.
        Refused
    }
    /// `WebHook-Request-Callback` in the handshake of CloudEvents.
    callback: Callback {
        /// Left out: consent is in the answer or not at all.
        Absent,
        /// A URL to consent at later.
        Offered
    }
    /// `WebHook-Request-Rate` in the handshake of CloudEvents.
    request_rate: RequestRate {
        /// Left out.
        Absent,
        /// Deliveries a minute; `WebHook-Allowed-Rate` is then required.
        Requested
    }
}

crate::switches::switches! {
    /// What Event Grid may do to events at any time: it promises neither order nor speed nor that one comes but once. It does
    /// promise that each comes; a receiver that must not trust in that is tried with a gap.
    Disturbances:
    /// Order of what is due at one time.
    order: Order {
        /// As it happened.
        Kept,
        /// The latest first.
        Reversed
    }
    /// How often a delivery that succeeded is made.
    duplicates: Duplicates {
        /// Once.
        Absent,
        /// Once more, ten seconds later.
        Present
    }
    /// Whether an endpoint that keeps failing is left alone for a time, new events included.
    probation: Probation {
        /// It is not.
        Absent,
        /// For an hour after ten failures.
        Present
    }
    /// Whether what happens reaches the subscriptions.
    gap: Gap {
        /// It does.
        Absent,
        /// It is lost, and nobody is told.
        Present
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reading_but_the_first_is_turned_to_once() {
        let turned = Switches::each_turned();
        assert_eq!(turned.iter().filter(|(name, _)| *name == "validity").count(), 2);
        assert!(turned.iter().all(|(_, turned)| *turned != Switches::documented()));
        assert_eq!(Disturbances::each_turned().len(), 4);
    }
}
