//! Whose market a class breaks.

use std::path::PathBuf;

/// Whose market.
#[derive(Clone)]
pub enum Place {
    /// Ours: the three binaries of this directory.
    Local(PathBuf),
    /// In this namespace of the kubeconfig's cluster, whose gateway is at the URL.
    Cluster {
        /// Its name.
        namespace: String,
        /// For customers, and for the page.
        url: String,
        /// The office's, where people log in.
        api_key: Option<String>,
    },
}

impl Place {
    /// What starts such a class, where `CLAVE_API` is what it was.
    pub fn command(&self) -> String {
        let command = "cargo run --release -p laboratorio -- aula";
        match self {
            Self::Local(_) => command.to_owned(),
            Self::Cluster { namespace, url, .. } => format!("{command} --k8s {namespace} --url {url}"),
        }
    }
}
