//! How a process of the market is started: its program, its options and what leads to it.

use super::{INTERNAL_TOKEN, Local, ORPHAN_AGE, Programs};
use crate::people;
use crate::plan::Service;
use crate::proxy::Proxy;
use crate::slot::Recipe;
use std::path::Path;
use std::sync::Arc;

impl Local {
    /// Of a process with this name behind this door; `dies_at` is a point of the purchase at which it dies.
    pub(super) fn recipe(
        &self,
        service: Service,
        name: &str,
        door: &Arc<Proxy>,
        dies_at: Option<&str>,
    ) -> Recipe {
        let mut environment = vec![
            ("HOST", "127.0.0.1".to_owned()),
            ("SEED_DIR", self.dir.join("semilla").display().to_string()),
            ("HOSTNAME", name.to_owned()),
            ("PATH", std::env::var("PATH").unwrap_or_default()),
        ];
        if let Some(point) = dies_at {
            environment.push(("FALLO_EN", point.to_owned()));
        }
        let (program, args) = match &self.programs {
            Programs::Naive(program) => {
                environment.push(("DATOS", self.data.display().to_string()));
                (program.clone(), vec!["tienda-ingenua".to_owned()])
            }
            Programs::Market(bin) => {
                let url = |s| self.internal.get(&s).map(|p| p.url()).unwrap_or_default();
                environment.extend([
                    ("CUENTAS", people::mode(self.office.as_ref())),
                    ("USUARIOS_URL", url(Service::Usuarios)),
                    ("INTERNAL_TOKEN", INTERNAL_TOKEN.to_owned()),
                    ("STORE", store(self.store.as_deref(), &self.data, service)),
                    ("WORKERS", "1".to_owned()),
                    ("DRAIN_SECONDS", "0".to_owned()),
                    ("GRACE_SECONDS", "5".to_owned()),
                    ("RUST_LOG", "info".to_owned()),
                ]);
                if service == Service::Transacciones {
                    environment.push(("TOKENS_URL", url(Service::Tokens)));
                    environment.push(("ORPHAN_AGE_MS", ORPHAN_AGE.as_millis().to_string()));
                }
                (bin.join(service.name()), Vec::new())
            }
        };
        Recipe {
            name: name.to_owned(),
            program,
            args,
            environment: environment
                .into_iter()
                .map(|(k, v)| (k.to_owned(), v))
                .chain(self.clocks.get(&service).into_iter().flatten().cloned())
                .collect(),
            port: "PORT",
            log: self.dir.join(format!("{name}.log")),
            public: vec![Arc::clone(door)],
            internal: self.internal.get(&service).filter(|_| !self.naive()).cloned(),
            delays: self.recorder.clone().filter(|_| service == Service::Transacciones),
        }
    }
}

/// The `STORE` of a service: files below `data` where nothing else was asked for.
pub(super) fn store(asked: Option<&str>, data: &Path, service: Service) -> String {
    asked.map_or_else(|| format!("json:{}", data.join(service.name()).display()), str::to_owned)
}
