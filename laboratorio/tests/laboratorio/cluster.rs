//! `--k8s` against a stand-in for an API server, with customers at a real market of this machine.

use crate::api_server::{ApiServer, Asked, NAMESPACE, kubeconfig};
use crate::helpers::{Classroom, LABORATORIO, interrupt, services, turn, wait_for, words};
use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const DEPLOYMENTS: &str = "/apis/apps/v1/namespaces/mercado/deployments";
const SCALER: &str = "/apis/autoscaling/v2/namespaces/mercado/horizontalpodautoscalers/tokens";

/// A URL where nothing answers.
fn nowhere() -> String {
    // no server has this port
    "http://127.0.0.1:1".to_owned()
}

fn laboratorio(kubeconfig: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(LABORATORIO);
    command.env("KUBECONFIG", kubeconfig).args(args).args(["--idioma", "en"]);
    command
}

/// An experiment in the stand-in's namespace that ends well; its report.
#[track_caller]
fn green(api: &ApiServer, args: &[&str]) -> Value {
    services();
    let dir = TempDir::new().unwrap();
    let class = Classroom::start(&dir.path().join("market"), |_| {});
    let more =
        ["--k8s", NAMESPACE, "--url", &class.url, "--semilla", "3", "--compras", "5", "--lecturas", "20"];
    let mut command = laboratorio(&api.kubeconfig(dir.path()), &[args, &more].concat());
    let file = dir.path().join("informe.html");
    let output =
        command.arg("--dir").arg(dir.path().join("run")).arg("--informe").arg(&file).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    serde_json::from_slice(&std::fs::read(file.with_extension("json")).unwrap()).unwrap()
}

fn replicas(changes: &[Asked], service: &str) -> Vec<Value> {
    let path = format!("{DEPLOYMENTS}/{service}/scale");
    changes.iter().filter(|a| a.path == path).map(|a| a.body["spec"]["replicas"].clone()).collect()
}

#[test]
fn a_service_is_scaled_and_has_its_replicas_and_its_autoscaler_back() {
    let _turn = turn();
    let api = ApiServer::start(|c| c.scaler = Some((json!(3), json!(8))));
    let report = green(&api, &["escala", "--segundos", "1.5", "--replicas", "4"]);
    let changes = api.changes();
    assert_eq!(replicas(&changes, "tokens"), [1, 4, 1, 3]);
    let bounds: Vec<_> =
        changes.iter().filter(|a| a.path == SCALER).map(|a| a.body["spec"].clone()).collect();
    let held = |n: u64| json!({"minReplicas": n, "maxReplicas": n});
    assert_eq!(bounds, [held(1), held(4), held(1), json!({"minReplicas": 3, "maxReplicas": 8})]);
    // the autoscaler is free before its Deployment is as before, or it would take that back
    assert!(changes.last().unwrap().path.ends_with("/tokens/scale"), "{changes:?}");
    assert_eq!(changes.len(), 8, "{changes:?}");
    let state = api.state();
    assert_eq!((state.replicas["tokens"], &state.scaler), (3, &Some((json!(3), json!(8)))));
    assert!(state.asked.iter().any(|a| a.path.ends_with("/pods") && a.query.contains("watch=true")));
    assert_eq!(report["fases"].as_array().unwrap().len(), 3, "{report}");
    assert_eq!(report["donde"], format!("namespace {NAMESPACE} of {}", api.url));
}

#[test]
fn pods_are_killed_by_force_and_others_become_ready() {
    let _turn = turn();
    let api = ApiServer::start(|_| {});
    let report = green(&api, &["caida", "--segundos", "6", "--cada", "0.4"]);
    let changes = api.changes();
    assert!(changes.len() >= 2, "{changes:?}");
    for killed in &changes {
        assert_eq!((killed.method.as_str(), &killed.body["gracePeriodSeconds"]), ("DELETE", &json!(0)));
        assert!(killed.path.contains("/pods/transacciones-"), "{killed:?}");
    }
    let marks = report["marcas"].as_array().unwrap();
    assert_eq!(marks.len(), changes.len(), "{marks:?}");
    assert!(marks.iter().all(|m| m["falla"] == true), "{marks:?}");
}

#[test]
fn every_deployment_is_restarted_as_kubectl_does() {
    let _turn = turn();
    let api = ApiServer::start(|_| {});
    let report = green(&api, &["despliegue", "--segundos", "2"]);
    let changes = api.changes();
    let paths: Vec<_> = changes.iter().map(|a| a.path.trim_start_matches(DEPLOYMENTS)).collect();
    assert_eq!(paths, ["/usuarios", "/tokens", "/transacciones"]);
    for patch in &changes {
        assert_eq!(patch.content, "application/strategic-merge-patch+json");
        let at =
            &patch.body["spec"]["template"]["metadata"]["annotations"]["kubectl.kubernetes.io/restartedAt"];
        assert!(at.as_str().unwrap().ends_with('Z'), "{patch:?}");
    }
    assert_eq!(report["cifras"][0], json!({"nombre": "processes replaced", "valor": "7"}));
}

#[test]
fn chaos_leaves_out_what_is_not_allowed() {
    let _turn = turn();
    let api = ApiServer::start(|c| c.forbidden = vec!["patch deployments", "list horizontalpodautoscalers"]);
    let report = green(&api, &["caos", "--segundos", "8"]);
    let changes = api.changes();
    assert!(!changes.is_empty() && changes.iter().all(|a| a.method == "DELETE"), "{changes:?}");
    assert_eq!(report["marcas"].as_array().unwrap().len(), changes.len());
}

#[test]
fn ctrl_c_puts_the_replicas_back() {
    let _turn = turn();
    services();
    let api = ApiServer::start(|_| {});
    let dir = TempDir::new().unwrap();
    let class = Classroom::start(&dir.path().join("market"), |_| {});
    let args = ["escala", "--k8s", NAMESPACE, "--url", &class.url, "--segundos", "600", "--compras", "1"];
    let mut command = laboratorio(&api.kubeconfig(dir.path()), &args);
    let mut run = command.arg("--dir").arg(dir.path().join("run")).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.ends_with("tokens: from 3 to 1")));
    assert_eq!(api.state().replicas["tokens"], 1);
    interrupt(&run);
    let rest: Vec<String> = lines.collect();
    assert_eq!(run.wait().unwrap().code(), Some(2), "{rest:?}");
    assert!(rest.iter().any(|line| line == "tokens: 3 replicas again"), "{rest:?}");
    assert_eq!(api.state().replicas["tokens"], 3);
}

/// Runs it; it must end with this code and one line that says all of these, and change nothing.
#[track_caller]
fn refused(api: &ApiServer, kubeconfig: &Path, args: &[&str], code: i32, says: &[&str]) {
    let dir = TempDir::new().unwrap();
    let output = laboratorio(kubeconfig, args).arg("--dir").arg(dir.path().join("run")).output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{args:?}: {}", words(&output));
    assert_eq!(errors.lines().count(), 1, "{args:?}: {errors}");
    for word in says {
        assert!(errors.contains(word), "{args:?}: {word}: {errors}");
    }
    assert!(api.changes().is_empty(), "{args:?}: {:?}", api.changes());
}

#[test]
fn a_missing_right_is_named_before_anything_is_changed() {
    let dir = TempDir::new().unwrap();
    for (experiment, rule, said) in [
        (&["caida"][..], "delete pods", "delete pods"),
        (&["caida", "--replicas", "2"], "patch deployments/scale", "patch deployments/scale (apps)"),
        (&["escala"], "get deployments/scale", "get deployments/scale (apps)"),
        (&["escala"], "patch horizontalpodautoscalers", "patch horizontalpodautoscalers (autoscaling)"),
        (&["despliegue"], "patch deployments", "patch deployments (apps)"),
        (&["caos"], "delete pods", "delete pods"),
        (&["aula", "--sin-navegador"], "watch pods", "watch pods"),
    ] {
        let api = ApiServer::start(|c| c.forbidden = vec![rule]);
        let url = nowhere();
        let args = [experiment, &["--k8s", NAMESPACE, "--url", &url]].concat();
        let says = ["not allowed: ", said, "k8s/components/laboratorio"];
        refused(&api, &api.kubeconfig(dir.path()), &args, 2, &says);
    }
}

#[test]
fn a_cluster_that_cannot_be_used_is_said_in_one_line() {
    let dir = TempDir::new().unwrap();
    let api = ApiServer::start(|_| {});
    let here = api.kubeconfig(dir.path());
    let other = TempDir::new().unwrap();
    let url = nowhere();
    let missing = other.path().join("nothing");
    for first in [&["caida"][..], &["caos"], &["aula", "--sin-navegador"]] {
        let args = |namespace| [first, &["--k8s", namespace, "--url", &url]].concat();
        let here_to = |says: &[&str], namespace| refused(&api, &here, &args(namespace), 2, says);
        here_to(&["there is no namespace tienda at", &api.url], "tienda");
        // there is a cluster, and no market where its gateway should be
        here_to(&["no market answers at", &url], NAMESPACE);
        let refused_by = |file: &Path, says: &[&str]| refused(&api, file, &args(NAMESPACE), 2, says);
        refused_by(&missing, &["kubeconfig", missing.to_str().unwrap()]);
        refused_by(&kubeconfig(other.path(), &url, ""), &["the API server", &url, "does not answer"]);
        refused_by(&kubeconfig(other.path(), &api.url, "another"), &["does not accept", &api.url]);
        // one that speaks no TLS
        let tls = api.url.replace("http:", "https:");
        refused_by(&kubeconfig(other.path(), &tls, ""), &[&tls, "does not answer"]);
    }
}

#[test]
fn what_a_cluster_cannot_do_is_a_bad_option() {
    let dir = TempDir::new().unwrap();
    let api = ApiServer::start(|_| {});
    let file = api.kubeconfig(dir.path());
    let forward = "kubectl -n mercado port-forward service/gateway";
    for (args, says) in [
        (&["fallo", "--url", "http://127.0.0.1:1"][..], &["fallo", "this machine only"][..]),
        (&["caida"], &[forward, "--url http://127.0.0.1:8080"]),
        (&["caos"], &[forward, "--url http://127.0.0.1:8080"]),
        (&["aula"], &[forward, "--url http://127.0.0.1:8081"]),
    ] {
        refused(&api, &file, &[args, &["--k8s", NAMESPACE]].concat(), 64, says);
    }
    assert!(api.state().asked.is_empty());
}

fn pods(state: &Value, service: &str) -> Vec<String> {
    let all = state["procesos"].as_array().unwrap().iter();
    let its = all.filter(|p| p["servicio"] == service && p["estado"] == "corre" && p["listo"] == true);
    its.map(|p| p["nombre"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn the_classrooms_controls_act_on_the_cluster() {
    let _turn = turn();
    services();
    let api = ApiServer::start(|_| {});
    let dir = TempDir::new().unwrap();
    let market = Classroom::start(&dir.path().join("market"), |_| {});
    let config = api.kubeconfig(dir.path());
    let class = Classroom::start(&dir.path().join("class"), |command| {
        command.args(["--k8s", NAMESPACE, "--url", &market.url]).env("KUBECONFIG", config);
    });
    let state = class.state();
    assert_eq!(state["ofrece"], json!(["carga", "informe", "matar", "terminar", "replicas", "reemplazar"]));
    assert_eq!(state["faltan"], json!([]));
    let [one, other] = <[String; 2]>::try_from(pods(&state, "transacciones")).unwrap();
    assert_eq!(pods(&state, "tokens").len(), 3);
    assert!(api.changes().is_empty());

    assert_eq!(class.order(&json!({"orden": "matar", "proceso": one})).0, 204);
    assert_eq!(class.order(&json!({"orden": "terminar", "proceso": other})).0, 204);
    let deleted =
        |n: usize| (api.changes()[n].path.clone(), api.changes()[n].body["gracePeriodSeconds"].clone());
    let path = |pod: &str| format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}");
    assert_eq!([deleted(0), deleted(1)], [(path(&one), json!(0)), (path(&other), Value::Null)]);
    // both places are taken by new pods, and the page sees them
    wait_for(|| {
        let now = pods(&class.state(), "transacciones");
        now.len() == 2 && !now.contains(&one) && !now.contains(&other)
    });
    assert_eq!(class.order(&json!({"orden": "replicas", "servicio": "tokens", "n": 5})).0, 204);
    assert_eq!(pods(&class.state(), "tokens").len(), 5);
    assert_eq!(class.order(&json!({"orden": "reemplazar", "servicio": "usuarios"})).0, 204);
    assert_eq!(api.changes().last().unwrap().path, format!("{DEPLOYMENTS}/usuarios"));

    let before = api.changes().len();
    for order in [
        json!({"orden": "congelar", "proceso": "tokens-1"}),
        json!({"orden": "disco", "lleno": true}),
        json!({"orden": "experimento", "nombre": "caida", "ingenuo": false}),
        json!({"orden": "matar", "proceso": "somebody-elses"}),
    ] {
        assert_eq!(class.order(&order).0, 409, "{order}");
    }
    assert_eq!(api.changes().len(), before);
    assert_eq!(class.order(&json!({"orden": "carga", "lecturas": 20.0, "compras": 10.0})).0, 204);
    assert_eq!(class.order(&json!({"orden": "informe"})).0, 204);
    assert_eq!(class.state()["informes"][0]["correcto"], true);

    let (code, rest) = class.end();
    assert_eq!(code, Some(0), "{rest:?}");
    assert_eq!(replicas(&api.changes(), "tokens"), [5, 3]);
    assert_eq!(market.end().0, Some(0));
}

#[test]
fn the_classroom_does_not_offer_what_is_not_allowed() {
    let _turn = turn();
    services();
    let api = ApiServer::start(|c| c.forbidden = vec!["patch deployments/scale", "delete pods"]);
    let dir = TempDir::new().unwrap();
    let market = Classroom::start(&dir.path().join("market"), |_| {});
    let config = api.kubeconfig(dir.path());
    let class = Classroom::start(&dir.path().join("class"), |command| {
        command.args(["--k8s", NAMESPACE, "--url", &market.url]).env("KUBECONFIG", config);
    });
    let state = class.state();
    assert_eq!(state["ofrece"], json!(["carga", "informe", "reemplazar"]));
    assert_eq!(
        state["faltan"],
        json!(["deleting pods: delete pods", "scaling: patch deployments/scale (apps)"])
    );
    for (order, rule) in [
        (json!({"orden": "replicas", "servicio": "tokens", "n": 5}), "patch deployments/scale (apps)"),
        (json!({"orden": "matar", "proceso": pods(&state, "tokens")[0]}), "delete pods"),
    ] {
        let (code, says) = class.order(&order);
        assert!(code == 409 && says.contains(rule), "{code} {says}");
    }
    assert!(api.changes().is_empty());
}
