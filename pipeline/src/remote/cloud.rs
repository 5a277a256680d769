//! The protocols of buckets, and their advice for users.

/// Whose protocol a bucket speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Cloud {
    S3,
    Google,
    Azure,
}

impl Cloud {
    pub(super) const ALL: [Cloud; 3] = [Cloud::S3, Cloud::Google, Cloud::Azure];

    /// What stands before `://`.
    pub(super) fn scheme(self) -> &'static str {
        match self {
            Cloud::S3 => "s3",
            Cloud::Google => "gs",
            Cloud::Azure => "az",
        }
    }

    /// How the names of the environment's variables begin.
    pub(super) fn variables(self) -> &'static str {
        match self {
            Cloud::S3 => "AWS_",
            Cloud::Google => "GOOGLE_",
            Cloud::Azure => "AZURE_",
        }
    }

    /// For someone whose credentials are not enough.
    pub(super) fn access(self) -> &'static str {
        match self {
            Cloud::S3 => {
                "may AWS_ACCESS_KEY_ID with its AWS_SECRET_ACCESS_KEY, or else the machine's role, read the bucket?"
            }
            Cloud::Google => {
                "may the account in GOOGLE_APPLICATION_CREDENTIALS, or else the machine's, read the bucket?"
            }
            Cloud::Azure => {
                "may AZURE_STORAGE_ACCOUNT_NAME with its AZURE_STORAGE_ACCOUNT_KEY, or else the machine's identity, \
                 read the container?"
            }
        }
    }

    /// For someone who has no credentials.
    pub(super) fn credentials(self) -> &'static str {
        match self {
            Cloud::S3 => {
                "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_SKIP_SIGNATURE=true for a public bucket"
            }
            Cloud::Google => {
                "set GOOGLE_APPLICATION_CREDENTIALS, or GOOGLE_SKIP_SIGNATURE=true for a public bucket"
            }
            Cloud::Azure => {
                "set AZURE_STORAGE_ACCOUNT_KEY, or AZURE_SKIP_SIGNATURE=true for a public container"
            }
        }
    }
}
