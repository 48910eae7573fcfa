//! What no document or recording settles. Each fact is a switch with its readings, so that a client can be tried
//! under each; `documented` takes the reading that Microsoft's texts make likelier.

/// Declares one enum a fact, the struct of all of them, and the ways to walk over them.
macro_rules! switches {
    (
        $(#[$all_doc:meta])* $all:ident:
        $($(#[$doc:meta])* $field:ident: $fact:ident {
            $(#[$first_doc:meta])* $first:ident, $($(#[$other_doc:meta])* $other:ident),+
        })*
    ) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            pub enum $fact {
                $(#[$first_doc])*
                $first,
                $($(#[$other_doc])*
                $other,)+
            }

            impl $fact {
                /// Every reading, the likeliest first.
                pub const READINGS: &'static [Self] = &[Self::$first, $(Self::$other),+];
            }
        )*

        $(#[$all_doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $all {
            $($(#[$doc])* pub $field: $fact,)*
        }

        impl $all {
            /// The likelier reading of each fact.
            pub fn documented() -> Self {
                Self { $($field: $fact::$first,)* }
            }

            /// Every fact at its other answer.
            pub fn other() -> Self {
                Self { $($field: $fact::READINGS[1],)* }
            }

            /// The documented reading with one fact turned over, for each fact, with the fact's name.
            pub fn each_turned() -> Vec<(&'static str, Self)> {
                vec![$($((stringify!($field), Self { $field: $fact::$other, ..Self::documented() }),)+)*]
            }
        }

        impl Default for $all {
            fn default() -> Self {
                Self::documented()
            }
        }
    };
}
pub(crate) use switches;

switches! {
    /// One answer for each unsettled fact.
    Switches:
    /// When a thumbprint without a secret is refused.
    missing_thumbprints: MissingThumbprints {
        /// The PUT is answered 400.
        Sync,
        /// The PUT is accepted and its operation fails.
        Operation
    }
    /// When a vault or secret that cannot be used is refused. Microsoft's FAQ on scale sets says: while polling.
    secret_errors: SecretErrors {
        /// The PUT is accepted and its operation fails.
        Operation,
        /// The PUT is answered 400.
        Sync
    }
    /// What a PUT meets while another one is carried out.
    put_while_updating: PutWhileUpdating {
        /// 409.
        Refused,
        /// It takes the place of the running one, as the classic service did.
        Replaces
    }
    /// `osProfile` left out of a PUT.
    os_profile_omitted: OsProfileOmitted {
        /// The secrets stay.
        Kept,
        /// The secrets are gone.
        Wiped
    }
    /// `tags` left out of a PUT.
    tags_omitted: TagsOmitted {
        /// Replaced by none, as in a plain Resource Manager PUT.
        Reset,
        /// Kept.
        Kept
    }
    /// `zones` left out of a PUT.
    zones_omitted: ZonesOmitted {
        /// Kept.
        Kept,
        /// Gone.
        Reset
    }
    /// `upgradeMode` left out of a PUT.
    upgrade_mode_omitted: UpgradeModeOmitted {
        /// Back to `Auto`.
        Reset,
        /// Kept.
        Kept
    }
    /// A secret that no certificate of the cscfg names.
    surplus_secret: SurplusSecret {
        /// Accepted.
        Accepted,
        /// Refused.
        Refused
    }
    /// A bare certificate in a JSON secret that says `pfx`. Microsoft's FAQ says no, a report from China says yes.
    bare_certificate_in_pfx: BareCertificateInPfx {
        /// Accepted.
        Accepted,
        /// Refused as improperly formatted.
        Refused
    }
    /// Two groups for one source vault. Virtual machines refuse them.
    repeated_source_vault: RepeatedSourceVault {
        /// Refused.
        Refused,
        /// Accepted.
        Accepted
    }
    /// References that a PUT sends back as they were, whose secret has been disabled or deleted since.
    unchanged_references: UnchangedReferences {
        /// Fetched and checked like new ones.
        Checked,
        /// Taken from what the service already holds.
        Trusted
    }
    /// The operation of a PUT with `upgradeMode` Manual.
    manual_operation: ManualOperation {
        /// Ends before any update domain is walked.
        CompletesBeforeWalk,
        /// Ends once the last update domain has been walked.
        WaitsForWalk
    }
    /// What lists of services hold.
    list_configuration: ListConfiguration {
        /// Whole models.
        Carried,
        /// Models without `configuration`.
        LeftOut
    }
    /// The body of a failed operation.
    failed_operation: FailedOperation {
        /// Wrapped in `ResourceDeploymentFailure`, the cause in `details`.
        Wrapped,
        /// The cause itself.
        Plain
    }
    /// `lastModifiedAt` after a PUT that changed nothing.
    unchanged_put: UnchangedPut {
        /// Moves.
        MovesLastModified,
        /// Stays.
        LeavesLastModified
    }
    /// `lastModifiedAt` after a start, stop, restart or walk.
    actions: Actions {
        /// Stays.
        LeaveLastModified,
        /// Moves.
        MoveLastModified
    }
    /// `CurrentUpgradeDomain` in the instance view while an update domain is walked.
    upgrade_domain_shown: UpgradeDomainShown {
        /// Its number.
        Number,
        /// -1, as when nothing is walked.
        Never
    }
    /// What a change of certificates alone does to the instances.
    certificate_change: CertificateChange {
        /// Stops and starts them, one update domain after another.
        Recycles,
        /// Reaches them while they run.
        Live
    }
    /// What separates several missing thumbprints.
    missing_thumbprint_separator: MissingThumbprintSeparator {
        /// `, `
        Comma,
        /// `;`
        Semicolon
    }
    /// `isBootstrapCertificate` of an existing reference after a PUT with an api-version that does not know it.
    bootstrap_flag: BootstrapFlag {
        /// Kept.
        Kept,
        /// Lost.
        Lost
    }
    /// Protected settings of an extension that a PUT sends back without them, as GET returned it.
    protected_settings_omitted: ProtectedSettingsOmitted {
        /// Kept.
        Kept,
        /// Lost.
        Lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_turned_switch_differs_from_the_documented_reading() {
        for (name, turned) in Switches::each_turned() {
            assert_ne!(turned, Switches::documented(), "{name}");
            assert_ne!(turned, Switches::other(), "{name}");
        }
    }
}
