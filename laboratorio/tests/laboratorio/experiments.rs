//! Each experiment in short: its verdict, its exit code, its report; and the naive shop wrong in each.

use crate::helpers::{
    Classroom, LABORATORIO, interrupt_group, running, services, serving, turn, wait_for, words,
};
use serde_json::{Value, json};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Pictures of a report whose answers named their processes.
const PICTURES: usize = 5;

fn run(dir: &TempDir, args: &[&str]) -> Output {
    let report = dir.path().join("informe.html");
    let mut command = Command::new(LABORATORIO);
    command.args(args).arg("--dir").arg(dir.path().join("run")).arg("--informe").arg(report);
    command.output().unwrap()
}

/// A run with this exit code; its report, which looks as it should.
#[track_caller]
fn report(args: &[&str], code: i32) -> Value {
    let dir = TempDir::new().unwrap();
    let output = run(&dir, args);
    let said = words(&output);
    if output.status.code() != Some(code) {
        let kept = dir.keep();
        panic!("{:?}: {said}\nkept in {}", output.status, kept.display());
    }
    let text = std::fs::read_to_string(dir.path().join("informe.html")).unwrap();
    // nothing of it is elsewhere, and nothing of it runs
    for foreign in ["<script", "src=", "href=", "@import", "url("] {
        assert!(!text.contains(foreign), "{foreign}");
    }
    let report: Value =
        serde_json::from_slice(&std::fs::read(dir.path().join("informe.json")).unwrap()).unwrap();
    assert_eq!(report["esquema"], "laboratorio-1");
    assert_eq!(report["correcto"], code == 0, "{said}");
    assert!(said.contains(report["veredicto"].as_str().unwrap()), "{said}");
    let page = seen(&dir.path().join("informe.html"));
    assert_eq!(page.matches("<svg").count(), PICTURES);
    assert_eq!(page.matches("<summary>").count(), PICTURES, "each picture has its numbers as a table");
    report
}

/// The page as Chromium reads it.
fn seen(file: &Path) -> String {
    let profile = TempDir::new().unwrap();
    let mut chromium = Command::new("chromium");
    chromium.args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]);
    chromium
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", file.display()));
    let output =
        chromium.output().unwrap_or_else(|e| panic!("chromium, of Debian's package of that name: {e}"));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn rule(report: &Value, name: &str) -> bool {
    let rules = report["reglas"].as_array().unwrap();
    rules.iter().find(|r| r["regla"] == name).unwrap()["correcto"].as_bool().unwrap()
}

/// What was lost or doubled, in credits.
fn damage(report: &Value) -> i64 {
    let money = &report["dinero"];
    let of = |name: &str| money[name].as_i64().unwrap().abs();
    of("diferencia") + of("creditosVendidosDeMas") + of("creditosPerdidos")
}

#[test]
fn more_processes_take_their_share_and_no_read_fails() {
    let _turn = turn();
    services();
    let report = report(&["escala", "--segundos", "12", "--semilla", "3"], 0);
    assert!(rule(&report, "lecturas") && rule(&report, "claves"));
    let phases = report["fases"].as_array().unwrap();
    let pods: Vec<_> = phases
        .iter()
        .map(|p| p["reparto"].as_array().unwrap())
        .map(|s| s.iter().filter(|s| s["pod"].as_str().unwrap().starts_with("tokens")).count())
        .collect();
    // requests of the moment of a change may still be answered by one that goes
    assert!(pods[0] == 1 && pods[1] == 3, "{phases:?}");
    assert!(report["dinero"]["compras"].as_u64().unwrap() >= 20, "{report}");
    assert_eq!(report["dinero"]["diferencia"], 0);
}

#[test]
fn customers_outlive_the_death_of_a_service() {
    let _turn = turn();
    services();
    let args =
        ["caida", "--replicas", "1", "--cada", "1", "--segundos", "9", "--semilla", "4", "--idioma", "en"];
    let report = report(&args, 0);
    let marks = report["marcas"].as_array().unwrap();
    assert!(marks.iter().filter(|m| m["falla"] == true).count() >= 2, "{marks:?}");
    assert!(rule(&report, "claves"));
    assert!(report["veredicto"].as_str().unwrap().starts_with("The money is right"), "{report}");
}

#[test]
fn everything_is_replaced_while_customers_buy_and_log_in() {
    let _turn = turn();
    services();
    let args = ["despliegue", "--cuentas", "si", "--segundos", "4", "--semilla", "5", "--lecturas", "20"];
    let report = report(&args, 0);
    assert_eq!(report["marcas"].as_array().unwrap().len(), 7, "{report}");
    assert!(rule(&report, "lecturas") && rule(&report, "claves"));
    assert!(report["veredicto"].as_str().unwrap().starts_with("El dinero cuadra"), "{report}");
}

#[test]
fn what_a_death_leaves_held_is_settled_by_somebody_else() {
    let _turn = turn();
    services();
    let report =
        report(&["fallo", "--en", "tras-cargo", "--segundos", "1", "--compras", "3", "--idioma", "en"], 0);
    let figures = report["cifras"].as_array().unwrap();
    let said = figures.iter().find(|f| f["nombre"] == "tras-cargo").unwrap()["valor"].as_str().unwrap();
    assert!(said.contains("the token and the money were left held; released by transacciones-"), "{said}");
    assert!(said.ends_with("answered 201: a new purchase"), "{said}");
    let command = report["comando"].as_str().unwrap();
    assert!(command.contains("fallo --en tras-cargo") && !command.contains("--dir"), "{command}");
    assert!(rule(&report, "retenidos"));
}

#[test]
fn the_naive_shop_is_wrong_in_each() {
    let _turn = turn();
    for experiment in
        [&["escala"][..], &["caida", "--cada", "0.8"], &["despliegue"], &["fallo", "--en", "tras-cargo"]]
    {
        let load = ["--ingenuo", "--segundos", "3", "--compras", "40", "--lecturas", "20", "--semilla", "8"];
        let report = report(&[experiment, &load].concat(), 1);
        assert!(damage(&report) > 0, "{report}");
        assert!(report["veredicto"].as_str().unwrap().starts_with("El dinero no cuadra"), "{report}");
    }
}

#[test]
fn two_reports_are_compared() {
    let dir = TempDir::new().unwrap();
    let _turn = turn();
    let files: Vec<PathBuf> = [1, 2]
        .into_iter()
        .map(|n| {
            let file = dir.path().join(format!("{n}.html"));
            let mut command = Command::new(LABORATORIO);
            command.args(["despliegue", "--ingenuo", "--segundos", "0.5", "--informe"]).arg(&file);
            command.arg("--dir").arg(dir.path().join(n.to_string())).output().unwrap();
            file.with_extension("json")
        })
        .collect();
    let output = Command::new(LABORATORIO).arg("comparar").args(&files).output().unwrap();
    let said = words(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let row = said.lines().find(|l| l.starts_with("experimento")).unwrap();
    assert_eq!(row.matches("despliegue --ingenuo").count(), 2, "{said}");
}

/// Ctrl-C in a terminal, once the run says this; its report, which says that it was stopped.
#[track_caller]
fn interrupted(args: &[&str], once: &str) -> Value {
    let dir = TempDir::new().unwrap();
    let mut command = Command::new(LABORATORIO);
    command.args(args).args(["--segundos", "600", "--idioma", "en"]).process_group(0);
    command.arg("--dir").arg(dir.path().join("run")).arg("--informe").arg(dir.path().join("informe.html"));
    let mut run = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|line| line.contains(once)));
    interrupt_group(&run);
    let rest: Vec<String> = lines.collect();
    // nothing wrong was seen, and it did not come to its end
    assert_eq!(run.wait().unwrap().code(), Some(2), "{rest:?}");
    assert!(rest.iter().any(|line| line.starts_with("GREEN (interrupted before its end): ")), "{rest:?}");
    assert!(std::fs::read_to_string(dir.path().join("informe.html")).unwrap().contains("stopped early"));
    let json = std::fs::read(dir.path().join("informe.json")).unwrap();
    let report: Value = serde_json::from_slice(&json).unwrap();
    assert_eq!(report["interrumpido"], true);
    wait_for(|| running(dir.path().to_str().unwrap()) == 0);
    report
}

#[test]
fn ctrl_c_ends_in_order_with_a_report() {
    let _turn = turn();
    services();
    interrupted(&["caida", "--cada", "0.5"], "kill -9 of transacciones-");
    let report = interrupted(&["fallo"], "died at tras-reserva");
    let figures = report["cifras"].as_array().unwrap();
    let last = figures.iter().find(|f| f["nombre"] == "tras-liberacion").unwrap();
    assert_eq!(last["valor"], "not tried: interrupted", "{report}");
}

#[test]
fn ctrl_c_in_a_class_ends_the_experiment_that_runs_beside_it() {
    let _turn = turn();
    services();
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let class = Classroom::start(&dir.path().join("aula"), |command| {
        command.process_group(0).env("TMPDIR", dir.path());
    });
    std::thread::scope(|scope| {
        scope.spawn(|| class.order(&json!({"orden": "experimento", "nombre": "caida", "ingenuo": false})));
        // its market is there as well
        wait_for(|| running(path) > 14);
        class.interrupt_group();
    });
    let (code, rest) = class.ended();
    assert_eq!(code, Some(0), "{rest:?}");
    wait_for(|| running(path) == 0);
}

#[test]
fn kill_9_of_a_class_ends_all_of_its_processes_and_its_experiments() {
    let _turn = turn();
    services();
    let dir = TempDir::new().unwrap();
    let path = dir.path().to_str().unwrap();
    let class = Classroom::start(&dir.path().join("aula"), |command| {
        command.env("TMPDIR", dir.path());
    });
    std::thread::scope(|scope| {
        scope.spawn(|| class.order(&json!({"orden": "experimento", "nombre": "caida", "ingenuo": false})));
        // the class's seven and the experiment's
        wait_for(|| serving(path) == 14);
        class.kill();
    });
    wait_for(|| running(path) == 0);
}

#[test]
fn a_reader_that_goes_away_ends_nothing() {
    let _turn = turn();
    services();
    let dir = TempDir::new().unwrap();
    let report = dir.path().join("informe.html");
    let script = r#"set -o pipefail; "$0" escala --segundos 0.6 --dir "$1/run" --informe "$2" | head -1"#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script, LABORATORIO]).arg(dir.path()).arg(&report);
    let output = bash.output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    assert!(report.exists());
}

#[test]
fn a_complaint_that_cannot_be_written_is_still_told_by_the_exit_code() {
    for (args, code) in [
        (&["revisar", "/nowhere"][..], 2),
        (&["comparar", "/nowhere", "/nowhere"], 2),
        (&["escala", "--url", "http://127.0.0.1:1"], 2),
        (&["fallo", "--en", "tras-cargo", "--k8s", "market", "--url", "http://127.0.0.1:1"], 64),
        (&["baile"], 64),
    ] {
        let full = || File::options().write(true).open("/dev/full").unwrap();
        let ended = Command::new(LABORATORIO).args(args).stdout(full()).stderr(full()).status().unwrap();
        assert_eq!(ended.code(), Some(code), "{args:?}");
    }
}

#[test]
fn bad_options_are_64_and_name_themselves() {
    for (args, word) in [
        (&["caos", "--clientes", "0"][..], "--clientes"),
        (&["caos", "--serializable"], "--serializable"),
        (&["caos", "--cuentas", "si", "--ingenuo"], "--cuentas"),
        (&["escala", "--cuentas", "si", "--url", "http://127.0.0.1:1"], "--cuentas"),
        (&["escala", "--segundos", "0"], "--segundos"),
        (&["escala", "--lecturas=-1"], "--lecturas"),
        (&["caida", "--compras", "mil"], "--compras"),
        (&["fallo", "--en", "nunca"], "--en"),
        (&["escala", "--url", "ftp://x"], "--url"),
        (&["escala", "--replicas", "2.5"], "--replicas"),
        (&["escala", "--replicas", "1"], "entre 2 y 20"),
        (&["escala", "--informe", "x.txt"], "--informe"),
        (&["escala", "--segundos", "3600", "--compras", "20000"], "--compras por --segundos"),
        (&["fallo", "--ingenuo", "--en", "tras-aborto"], "tras-reserva, tras-cargo"),
        (&["baile"], "no existe la orden «baile»"),
        (&[], "laboratorio"),
    ] {
        let output = Command::new(LABORATORIO).args(args).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", words(&output));
        assert!(words(&output).contains(word), "{args:?}: {}", words(&output));
    }
}

#[test]
fn a_market_that_is_there_already_is_judged_by_its_own_users_and_tokens() {
    let _turn = turn();
    services();
    let dir = TempDir::new().unwrap();
    let class = Classroom::start(&dir.path().join("aula"), |_| {});
    let report = report(&["caos", "--url", &class.url, "--segundos", "1.5"], 0);
    assert!(report["dinero"]["compras"].as_u64().unwrap() >= 5, "{report}");
    assert_eq!(report["marcas"].as_array().unwrap().len(), 0);
    let (code, rest) = class.end();
    assert_eq!(code, Some(0), "{rest:?}");
    let path = dir.path().to_str().unwrap();
    wait_for(|| running(path) == 0);
    assert!(!std::fs::read_to_string("/proc/mounts").unwrap().contains(path));
}

#[test]
fn a_class_on_postgresql_has_a_server_of_its_own() {
    let _turn = turn();
    services();
    let dir = TempDir::new().unwrap();
    let class = Classroom::start(&dir.path().join("aula"), |command| {
        command.args(["--store", "postgres"]);
    });
    let order = |order| assert_eq!(class.order(&order), (204, String::new()));
    // twice at once: there are the same customers all the same
    std::thread::scope(|scope| {
        for reads in [20.0, 21.0] {
            scope.spawn(move || order(json!({"orden": "carga", "lecturas": reads, "compras": 20.0})));
        }
    });
    let mut curl = Command::new("curl");
    let listed = curl.args(["-sS", &format!("{}/usuarios?limite=1000", class.url)]).output().unwrap();
    let usuarios: Vec<Value> = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(usuarios.iter().filter(|u| u["nombre"] == "Cliente 1").count(), 1, "{usuarios:?}");
    order(json!({"orden": "matar", "proceso": "transacciones-1"}));
    order(json!({"orden": "informe"}));
    assert_eq!(class.state()["informes"][0]["correcto"], true, "{}", class.state());
    let path = dir.path().to_str().unwrap();
    assert!(running(path) > 7, "a server besides seven processes");
    let (code, rest) = class.end();
    assert_eq!(code, Some(0), "{rest:?}");
    wait_for(|| running(path) == 0);
}

#[test]
fn a_class_whose_purchases_nobody_can_read_gets_no_verdict_and_gets_it_soon() {
    let _turn = turn();
    services();
    let dir = TempDir::new().unwrap();
    let class = Classroom::start(&dir.path().join("aula"), |_| {});
    let order = |order| assert_eq!(class.order(&order), (204, String::new()));
    order(json!({"orden": "carga", "lecturas": 20.0, "compras": 20.0}));
    for process in ["transacciones-1", "transacciones-2"] {
        order(json!({"orden": "matar", "proceso": process}));
    }
    let asked = Instant::now();
    order(json!({"orden": "informe"}));
    // its customers would have been waited for for 40 s, and what is pending for 20
    assert!(asked.elapsed() < Duration::from_secs(30), "{:?}", asked.elapsed());
    let report = class.state()["informes"][0].clone();
    assert_eq!(report["correcto"], Value::Null, "{report}");
    assert!(report["veredicto"].as_str().unwrap().contains("/transacciones: 503"), "{report}");
    let (code, rest) = class.end();
    assert_eq!(code, Some(0), "{rest:?}");
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_the_run() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let mut command = Command::new(LABORATORIO);
    command
        .args(["escala", "--ingenuo", "--segundos", "600", "--informe"])
        .arg(dir.path().join("file/x.html"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(words(&output).contains("file/x.html"), "{}", words(&output));
}

#[test]
fn a_report_that_cannot_be_written_in_the_end_is_said_after_the_verdict() {
    let _turn = turn();
    let dir = TempDir::new().unwrap();
    std::os::unix::fs::symlink("/dev/full", dir.path().join("informe.html")).unwrap();
    let output = run(&dir, &["caida", "--ingenuo", "--segundos", "1"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("El dinero") && !said.contains("informe:"), "{said}");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(errors.contains("informe.html") && errors.contains("laboratorio revisar"), "{errors}");
    let again = Command::new(LABORATORIO).arg("revisar").arg(dir.path().join("run")).output().unwrap();
    assert!(words(&again).contains("hallazgos: "), "{}", words(&again));
}

#[test]
fn where_no_market_answers_one_line_says_so() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let dir = TempDir::new().unwrap();
    let url = format!("http://{free}");
    let output = run(&dir, &["escala", "--url", &url, "--segundos", "1"]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(errors.lines().count(), 1, "{errors}");
    assert!(errors.contains(&url), "{errors}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "what has not begun leaves nothing");
}

#[test]
fn a_class_on_a_busy_port_leaves_nothing() {
    services();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let (port, dir) = (busy.local_addr().unwrap().port().to_string(), TempDir::new().unwrap());
    let mut command = Command::new(LABORATORIO);
    command.args(["aula", "--sin-navegador", "--port", &port, "--dir"]).arg(dir.path().join("aula"));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    assert!(words(&output).contains(&port), "{}", words(&output));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}
