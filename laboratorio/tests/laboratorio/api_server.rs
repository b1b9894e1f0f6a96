//! A stand-in for an API server: it records what it is asked, does with its pods what controllers would do, and forbids what it
//! is told to forbid.

use actix_web::web::{self, Bytes, Data};
use actix_web::{App, HttpRequest, HttpResponse, HttpServer};
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;

pub const NAMESPACE: &str = "mercado";
const TOKEN: &str = "a-token-of-the-stand-in";

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Asked {
    pub method: String,
    pub path: String,
    pub query: String,
    pub content: String,
    pub body: Value,
}

#[derive(Default)]
pub struct Cluster {
    pub asked: Vec<Asked>,
    /// By name of their service.
    pub replicas: BTreeMap<String, usize>,
    /// `minReplicas` and `maxReplicas` of tokens.
    pub scaler: Option<(Value, Value)>,
    /// `verb resource`, or with a subresource `verb resource/subresource`.
    pub forbidden: Vec<&'static str>,
    pods: BTreeMap<String, Value>,
    /// All that ever happened to them; a version is how many.
    events: Vec<Value>,
    made: usize,
}

pub struct ApiServer {
    pub url: String,
    state: Arc<Mutex<Cluster>>,
}

struct Shared {
    state: Arc<Mutex<Cluster>>,
    /// How many events there are.
    events: watch::Sender<usize>,
}

impl ApiServer {
    /// Two pods of each service, three of tokens, as in `k8s/base`; and what `prepare` changes.
    pub fn start(prepare: impl FnOnce(&mut Cluster)) -> Self {
        let mut cluster = Cluster::default();
        for (service, n) in [("usuarios", 2), ("tokens", 3), ("transacciones", 2)] {
            cluster.scale(service, n);
        }
        prepare(&mut cluster);
        let state = Arc::new(Mutex::new(cluster));
        let shared = Data::new(Shared { state: Arc::clone(&state), events: watch::channel(0).0 });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let app = move || App::new().app_data(shared.clone()).default_service(web::to(answer));
            let server = HttpServer::new(app).workers(1).disable_signals().listen(listener).unwrap();
            actix_web::rt::System::new().block_on(server.run()).unwrap();
        });
        Self { url, state }
    }

    pub fn state(&self) -> MutexGuard<'_, Cluster> {
        self.state.lock().unwrap()
    }

    /// A kubeconfig that leads here.
    pub fn kubeconfig(&self, dir: &Path) -> PathBuf {
        kubeconfig(dir, &self.url, TOKEN)
    }

    /// What would have changed something, in order.
    pub fn changes(&self) -> Vec<Asked> {
        let review = |a: &Asked| a.path.ends_with("/selfsubjectaccessreviews");
        self.state().asked.iter().filter(|a| a.method != "GET" && !review(a)).cloned().collect()
    }
}

pub fn kubeconfig(dir: &Path, server: &str, token: &str) -> PathBuf {
    let file = dir.join("kubeconfig");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "test",
        "clusters": [{"name": "test", "cluster": {"server": server}}],
        "users": [{"name": "test", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
    });
    std::fs::write(&file, text.to_string()).unwrap();
    file
}

impl Cluster {
    fn of(&self, service: &str) -> Vec<String> {
        let its =
            self.pods.iter().filter(|(_, p)| p["metadata"]["labels"]["app.kubernetes.io/name"] == service);
        its.map(|(name, _)| name.clone()).collect()
    }

    fn event(&mut self, kind: &str, mut pod: Value) -> Value {
        pod["metadata"]["resourceVersion"] = json!((self.events.len() + 1).to_string());
        self.events.push(json!({"type": kind, "object": pod}));
        pod
    }

    /// A pod comes, and is ready a moment later.
    fn add(&mut self, service: &str) {
        self.made += 1;
        let name = format!("{service}-7d9c5b8f4-{:05}", self.made);
        let labels = json!({"app.kubernetes.io/name": service, "app.kubernetes.io/component": "service"});
        let mut pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": name, "namespace": NAMESPACE, "labels": labels},
            "status": {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False"}]},
        });
        self.event("ADDED", pod.clone());
        pod["status"] = json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]});
        let pod = self.event("MODIFIED", pod);
        self.pods.insert(name, pod);
    }

    fn remove(&mut self, name: &str) {
        let Some(mut pod) = self.pods.remove(name) else { return };
        pod["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        self.event("MODIFIED", pod.clone());
        self.event("DELETED", pod);
    }

    fn scale(&mut self, service: &str, n: usize) {
        self.replicas.insert(service.to_owned(), n);
        while self.of(service).len() < n {
            self.add(service);
        }
        for name in self.of(service).into_iter().skip(n) {
            self.remove(&name);
        }
    }

    fn scaler(&self) -> Value {
        let items = self.scaler.iter().map(|(least, most)| {
            json!({
                "metadata": {"name": "tokens"},
                "spec": {
                    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "tokens"},
                    "minReplicas": least, "maxReplicas": most,
                },
            })
        });
        let items: Vec<_> = items.collect();
        json!({"apiVersion": "autoscaling/v2", "kind": "HorizontalPodAutoscalerList", "metadata": {}, "items": items})
    }

    /// Whatever is no watch.
    fn answer(&mut self, asked: &Asked) -> Value {
        let path: Vec<&str> = asked.path.trim_start_matches('/').split('/').collect();
        let named =
            |kind: &str, name: &str| json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}});
        match (asked.method.as_str(), path.as_slice()) {
            ("POST", ["apis", "authorization.k8s.io", "v1", "selfsubjectaccessreviews"]) => {
                let wanted = &asked.body["spec"]["resourceAttributes"];
                let of = |name: &str| wanted[name].as_str().unwrap_or_default().to_owned();
                let part = if of("subresource").is_empty() {
                    String::new()
                } else {
                    format!("/{}", of("subresource"))
                };
                let rule = format!("{} {}{part}", of("verb"), of("resource"));
                let mut review = asked.body.clone();
                review["status"] = json!({"allowed": !self.forbidden.contains(&rule.as_str())});
                review
            }
            ("GET", ["api", "v1", "namespaces", NAMESPACE]) => named("Namespace", NAMESPACE),
            ("GET", ["api", "v1", "namespaces", namespace, "pods"]) => {
                let items: Vec<_> = self.pods.values().filter(|_| *namespace == NAMESPACE).collect();
                let version = self.events.len().to_string();
                json!({"apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": version}, "items": items})
            }
            ("DELETE", ["api", "v1", "namespaces", NAMESPACE, "pods", name]) => {
                let Some(pod) = self.pods.get(*name).cloned() else { return Value::Null };
                let service = pod["metadata"]["labels"]["app.kubernetes.io/name"].as_str().unwrap();
                self.remove(name);
                self.add(service);
                pod
            }
            (method, ["apis", "apps", "v1", "namespaces", NAMESPACE, "deployments", name, "scale"]) => {
                if method == "PATCH" {
                    self.scale(name, asked.body["spec"]["replicas"].as_u64().unwrap() as usize);
                }
                let n = self.replicas[*name];
                json!({
                    "apiVersion": "autoscaling/v1", "kind": "Scale", "metadata": {"name": name},
                    "spec": {"replicas": n}, "status": {"replicas": n},
                })
            }
            ("PATCH", ["apis", "apps", "v1", "namespaces", NAMESPACE, "deployments", name]) => {
                for old in self.of(name) {
                    self.add(name);
                    self.remove(&old);
                }
                json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}})
            }
            ("GET", ["apis", "autoscaling", "v2", "namespaces", NAMESPACE, "horizontalpodautoscalers"]) => {
                self.scaler()
            }
            (
                "PATCH",
                ["apis", "autoscaling", "v2", "namespaces", NAMESPACE, "horizontalpodautoscalers", "tokens"],
            ) => {
                let spec = &asked.body["spec"];
                self.scaler = Some((spec["minReplicas"].clone(), spec["maxReplicas"].clone()));
                self.scaler()["items"][0].clone()
            }
            _ => Value::Null,
        }
    }
}

/// From which event a watch is to go on.
fn version(query: &str) -> usize {
    query.split('&').find_map(|q| q.strip_prefix("resourceVersion=")?.parse().ok()).unwrap()
}

async fn answer(req: HttpRequest, body: Bytes, shared: Data<Shared>) -> HttpResponse {
    let header = |name| req.headers().get(name).and_then(|v| v.to_str().ok()).unwrap_or_default().to_owned();
    let asked = Asked {
        method: req.method().to_string(),
        path: req.path().to_owned(),
        query: req.query_string().to_owned(),
        content: header("content-type"),
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    };
    let status = |code: u16, says: &str| {
        let status =
            json!({"apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "message": says});
        HttpResponse::build(code.try_into().unwrap()).json(status)
    };
    if header("authorization") != format!("Bearer {TOKEN}") {
        return status(401, "Unauthorized");
    }
    let (answer, n) = {
        let mut state = shared.state.lock().unwrap();
        state.asked.push(asked.clone());
        let answer = if asked.query.contains("watch=true") { None } else { Some(state.answer(&asked)) };
        (answer, state.events.len())
    };
    shared.events.send_replace(n);
    match answer {
        Some(Value::Null) => status(404, "not found"),
        Some(answer) => HttpResponse::Ok().json(answer),
        None => HttpResponse::Ok().streaming(Box::pin(stream::unfold(version(&asked.query), move |at| {
            let shared = shared.clone();
            async move {
                shared.events.subscribe().wait_for(|n| *n > at).await.ok()?;
                let line = format!("{}\n", shared.state.lock().unwrap().events[at]);
                Some((Ok::<_, actix_web::Error>(Bytes::from(line)), at + 1))
            }
        }))),
    }
}
