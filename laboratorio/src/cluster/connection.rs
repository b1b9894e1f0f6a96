//! The API server of the user's kubeconfig, and in one line why it does not do what it is asked.

use crate::t;
use kube::config::{KubeConfigOptions, KubeconfigError};
use kube::{Client, Config};
use std::error::Error;
use std::time::Duration;

/// A server that is there takes a connection in this time.
const CONNECT: Duration = Duration::from_secs(5);
/// A server that is well answers anything but a watch in this time.
const PATIENCE: Duration = Duration::from_secs(15);

/// A client, and whom it talks to.
pub(crate) struct Connection {
    pub(super) client: Client,
    /// As the kubeconfig has it.
    pub(super) server: String,
    pub(super) namespace: String,
}

impl Connection {
    /// By `KUBECONFIG` or `~/.kube/config`, and its current context.
    ///
    /// # Errors
    /// Where there is no kubeconfig, or it is of no use.
    pub(super) async fn open(namespace: &str) -> Result<Self, String> {
        let mut config = Config::from_kubeconfig(&KubeConfigOptions::default()).await.map_err(|e| match &e {
            KubeconfigError::ReadConfig(_, path) => {
                let path = path.display();
                t!(
                    "no se puede leer el kubeconfig {path}: diga en KUBECONFIG dónde está, o pruebe «kubectl config view»",
                    "the kubeconfig {path} cannot be read: say in KUBECONFIG where it is, or try \"kubectl config view\""
                )
            }
            _ => format!("kubeconfig: {}", cause(&e)),
        })?;
        config.connect_timeout = Some(CONNECT);
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        let client = Client::try_from(config).map_err(|e| format!("kubeconfig: {}", cause(&e)))?;
        Ok(Self { client, server, namespace: namespace.to_owned() })
    }

    /// One request, and its answer.
    pub(super) async fn ask<T>(&self, request: impl Future<Output = kube::Result<T>>) -> Result<T, String> {
        self.look(request).await?.ok_or_else(|| {
            let server = &self.server;
            t!(
                "{server} contestó 404: ¿es el API server de un clúster?",
                "{server} answered 404: is it the API server of a cluster?"
            )
        })
    }

    /// The same of something that may not be there.
    pub(super) async fn look<T>(
        &self,
        request: impl Future<Output = kube::Result<T>>,
    ) -> Result<Option<T>, String> {
        let server = &self.server;
        match tokio::time::timeout(PATIENCE, request).await {
            Ok(Ok(answer)) => Ok(Some(answer)),
            Ok(Err(kube::Error::Api(status))) if status.code == 404 => Ok(None),
            Ok(Err(kube::Error::Api(status))) if status.code == 401 => Err(t!(
                "el API server {server} no acepta las credenciales del kubeconfig",
                "the API server {server} does not accept the kubeconfig's credentials"
            )),
            Ok(Err(kube::Error::Api(status))) => {
                let (code, says) = (status.code, status.message.lines().next().unwrap_or_default());
                Err(t!(
                    "el API server {server} contestó {code}: {says}",
                    "the API server {server} answered {code}: {says}"
                ))
            }
            Ok(Err(e)) => {
                let why = cause(&e);
                Err(t!(
                    "el API server {server} no contesta: {why}",
                    "the API server {server} does not answer: {why}"
                ))
            }
            Err(_) => {
                let seconds = PATIENCE.as_secs();
                Err(t!(
                    "el API server {server} no contestó en {seconds} s",
                    "the API server {server} did not answer within {seconds} s"
                ))
            }
        }
    }
}

/// The first line of the innermost reason.
pub(super) fn cause(e: &dyn Error) -> String {
    let mut e = e;
    while let Some(deeper) = e.source() {
        e = deeper;
    }
    e.to_string().lines().next().unwrap_or_default().to_owned()
}
