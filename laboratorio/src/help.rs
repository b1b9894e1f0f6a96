//! `--help`, and what is wrong with options, in Spanish. The English of the help is the documentation of [`crate::options`],
//! from which clap makes its own.

use crate::options::Cli;
use crate::words::{Lang, lang};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, Error};
use std::ffi::OsStr;

/// The command line, in the language of this process.
pub fn command() -> Command {
    let english = Cli::command();
    if lang() == Lang::En { english } else { whole(english) }
}

fn whole(english: Command) -> Command {
    let mut command = spanish(english);
    // so that each subcommand knows its whole name, and clap's own one is there
    command.build();
    usage(command.mut_subcommand("help", of_help))
}

fn spanish(command: Command) -> Command {
    let is_whole = command.get_version().is_some();
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let mut command = framed(command)
        .about(said(&about).to_owned())
        .disable_help_flag(true)
        .disable_version_flag(true)
        .mut_args(translated)
        .mut_subcommands(spanish)
        .arg(own("help", 'h', ArgAction::Help, "Muestra esta ayuda"));
    if is_whole {
        command = command.arg(own("version", 'V', ArgAction::Version, "Muestra la versión"));
    }
    command
}

/// The order that clap adds, which lists itself.
fn of_help(help: Command) -> Command {
    let help = framed(help).about("Muestra esta ayuda o la de una orden");
    if help.has_subcommands() { help.mut_subcommand("help", of_help) } else { help }
}

/// What stands around the texts.
fn framed(command: Command) -> Command {
    command
        .help_template("{about-with-newline}\nUso: {usage}\n\n{all-args}")
        .subcommand_help_heading("Órdenes")
        .subcommand_value_name("ORDEN")
}

const OPTIONS: &str = "Opciones";

/// An option that clap would add by itself.
fn own(name: &'static str, short: char, action: ArgAction, help: &'static str) -> Arg {
    Arg::new(name).long(name).short(short).action(action).help(help).help_heading(OPTIONS)
}

/// The line of usage, which clap makes from what is in the command.
fn usage(mut command: Command) -> Command {
    let english = command.render_usage().to_string();
    let line = english.trim_start_matches("Usage: ").replace("[OPTIONS]", "[OPCIONES]");
    command.override_usage(line).mut_subcommands(usage)
}

/// With the values that clap would list in English.
fn translated(arg: Arg) -> Arg {
    let english = arg.get_help().map(ToString::to_string).unwrap_or_default();
    let mut help = said(&english).to_owned();
    let heading = if arg.is_positional() { "Argumentos" } else { OPTIONS };
    let of_value = arg.get_value_names().and_then(|names| spanish_of(names.first()?));
    let arg = if let Some(name) = of_value { arg.value_name(name) } else { arg };
    let arg = arg.help_heading(heading);
    if !arg.get_action().takes_values() {
        return arg.help(help);
    }
    let text = |value: &OsStr| value.to_string_lossy().into_owned();
    let values: Vec<_> = arg.get_possible_values().iter().map(|v| v.get_name().to_owned()).collect();
    let default: Vec<_> = arg.get_default_values().iter().map(|v| text(v)).collect();
    let variable: Vec<_> = arg.get_env().map(text).into_iter().collect();
    for (what, of_it) in [("valores", values), ("si falta", default), ("variable", variable)] {
        if !of_it.is_empty() {
            help += &format!(" [{what}: {}]", of_it.join(", "));
        }
    }
    arg.help(help).hide_possible_values(true).hide_default_value(true).hide_env(true)
}

/// What is wrong with the options, in Spanish; nothing where clap says it right by itself.
pub fn wrong(e: &Error) -> Option<String> {
    if lang() == Lang::En { None } else { complaint(e) }
}

fn complaint(e: &Error) -> Option<String> {
    let one = |kind| match e.get(kind) {
        Some(ContextValue::String(text)) => text.clone(),
        Some(ContextValue::Strings(texts)) => texts.join(", "),
        Some(ContextValue::StyledStr(text)) => text.to_string(),
        _ => String::new(),
    };
    let (arg, value) = (one(ContextKind::InvalidArg), one(ContextKind::InvalidValue));
    let what = match e.kind() {
        ErrorKind::InvalidValue if value.is_empty() => format!("falta el valor de «{arg}»"),
        ErrorKind::InvalidValue => {
            format!("«{arg}» no puede ser «{value}»; puede ser: {}", one(ContextKind::ValidValue))
        }
        ErrorKind::ValueValidation => {
            let why = std::error::Error::source(e).map(ToString::to_string).unwrap_or_default();
            format!("«{arg}» no puede ser «{value}»: {why}")
        }
        ErrorKind::UnknownArgument => format!("no existe la opción o el argumento «{arg}»"),
        ErrorKind::InvalidSubcommand => {
            format!("no existe la orden «{}»", one(ContextKind::InvalidSubcommand))
        }
        ErrorKind::MissingSubcommand => format!("falta la orden: {}", one(ContextKind::ValidSubcommand)),
        ErrorKind::MissingRequiredArgument => format!("falta lo obligatorio: {arg}"),
        ErrorKind::TooManyValues => format!("a «{arg}» le sobra «{value}»"),
        ErrorKind::TooFewValues | ErrorKind::WrongNumberOfValues => format!("a «{arg}» le faltan valores"),
        ErrorKind::ArgumentConflict => match one(ContextKind::PriorArg) {
            other if other == arg => format!("«{arg}» va una sola vez"),
            other => format!("«{arg}» no va junto con «{other}»"),
        },
        ErrorKind::InvalidUtf8 => "un argumento no es texto UTF-8".to_owned(),
        // the help and the version
        _ => return None,
    };
    let suggested =
        [ContextKind::SuggestedArg, ContextKind::SuggestedSubcommand, ContextKind::SuggestedValue];
    let suggested = suggested.map(one).into_iter().find(|s| !s.is_empty());
    let suggested = suggested.map(|s| format!(" ¿Quiso decir «{s}»?")).unwrap_or_default();
    let usage = one(ContextKind::Usage).replace("Usage: ", "Uso: ").replace("[OPTIONS]", "[OPCIONES]");
    let usage = if usage.is_empty() { usage } else { format!("\n\n{usage}") };
    Some(format!("error: {what}.{suggested}{usage}\n\nLa ayuda está en «--help»."))
}

/// A text of the options in Spanish; one that has none, as it is.
fn said(english: &str) -> &str {
    spanish_of(english).unwrap_or(english)
}

fn spanish_of(english: &str) -> Option<&'static str> {
    TEXTS.iter().find(|(of, _)| *of == english).map(|(_, spanish)| *spanish)
}

const TEXTS: &[(&str, &str)] = &[
    ("FILE.html", "ARCHIVO.html"),
    ("KEY", "CLAVE"),
    ("KIND", "CLASE"),
    ("POINT", "PUNTO"),
    (
        "Load, faults, and a checker that knows nothing of the product",
        "Carga, fallas y un verificador que no sabe nada del producto",
    ),
    (
        "The language of what it says and of its reports; the locale's if left out",
        "El idioma de lo que dice y de sus informes; si falta, el del entorno (LANG)",
    ),
    (
        "Adds processes of a service and takes them away, while customers read and buy",
        "Agrega procesos de un servicio y los quita, mientras los clientes leen y compran",
    ),
    ("Kills a process of a service every so often", "Mata un proceso de un servicio cada cierto tiempo"),
    (
        "Replaces every process while customers buy",
        "Reemplaza todos los procesos mientras los clientes compran",
    ),
    (
        "Lets a process die at a named point of a purchase",
        "Deja morir un proceso en un punto con nombre de una compra",
    ),
    (
        "Lets everything go wrong while customers buy, and says whether the money is right",
        "Deja que todo salga mal mientras los clientes compran, y dice si el dinero cuadra",
    ),
    (
        "Does to a market what a client can do, and says whether it lives, answers and is right",
        "Le hace a un mercado lo que puede hacer un cliente, y dice si vive, responde y cuadra",
    ),
    (
        "The market as it runs in a cluster, with controls in its page: break it by hand",
        "El mercado como corre en un clúster, con controles en su página: rómpalo con sus manos",
    ),
    ("Two reports side by side", "Dos informes, uno junto al otro"),
    ("A report's JSON", "El JSON de un informe"),
    ("Another one's", "El de otro"),
    ("Judges an old run again, by its directory", "Juzga de nuevo una corrida anterior, por su directorio"),
    ("Where its historia.jsonl and final.json are", "Donde están su historia.jsonl y su final.json"),
    (
        "The shop that most people would write at first, which `--ingenuo` starts",
        "La tienda que casi todos escribirían primero, la que arranca `--ingenuo`",
    ),
    (
        "On this machine: starts what it needs (the default)",
        "En esta máquina: arranca lo que necesita (si no se dice otra cosa)",
    ),
    (
        "On this machine: starts the services itself (the default)",
        "En esta máquina: arranca los servicios (si no se dice otra cosa)",
    ),
    (
        "On this machine: starts the services itself (the only way)",
        "En esta máquina: arranca los servicios (la única manera)",
    ),
    (
        "In this namespace of the kubeconfig's cluster, as far as its RBAC allows; --url is its gateway",
        "En este namespace del clúster del kubeconfig, hasta donde su RBAC lo permita; --url es su puerta de enlace",
    ),
    (
        "With --url, where people log in: an API key of an account that is tesorero, publicador and auditor",
        "Con --url, donde hay cuentas: una clave de API de una cuenta que es tesorero, publicador y auditor",
    ),
    (
        "Whether people log in, in a market that is started for it",
        "Si la gente entra con su cuenta, en un mercado que se arranca para esto",
    ),
    (
        "Whether people log in: each customer then buys with a session of their own, and some try to buy with somebody else's",
        "Si la gente entra con su cuenta: cada cliente compra con su sesión, y algunos intentan comprar con la de otro",
    ),
    (
        "A market that is there already: only load and judgement, on users and tokens of its own",
        "Un mercado que ya existe: solo carga y veredicto, con usuarios y tokens propios",
    ),
    (
        "A market that is there already: only load and judgement, as in any experiment",
        "Un mercado que ya existe: solo carga y veredicto, como en cualquier experimento",
    ),
    (
        "Against the shop that most people would write at first",
        "Contra la tienda que casi todos escribirían primero",
    ),
    ("How long", "Cuánto dura"),
    ("How long, in minutes", "Cuánto dura, en minutos"),
    ("How long; a minute if left out", "Cuánto dura; un minuto si falta"),
    (
        "How long each kind goes on, in minutes; ten seconds if left out",
        "Cuánto dura cada clase, en minutos; diez segundos si falta",
    ),
    (
        "Instead: until so many processes were killed",
        "En vez de eso: hasta que se haya matado tantos procesos",
    ),
    (
        "The seed of everything by chance; the time if left out",
        "La semilla de todo lo que es al azar; si falta, la hora",
    ),
    (
        "The seed of the schedule of faults; the time if left out",
        "La semilla del calendario de fallas; si falta, la hora",
    ),
    (
        "The seed of what customers ask for; the time if left out",
        "La semilla de lo que piden los clientes; si falta, la hora",
    ),
    (
        "Reads a second, whatever their answers take",
        "Lecturas por segundo, tarden lo que tarden las respuestas",
    ),
    (
        "Purchases a second, whatever their answers take",
        "Compras por segundo, tarden lo que tarden las respuestas",
    ),
    (
        "Besides, reads a second, whatever their answers take",
        "Además, lecturas por segundo, tarden lo que tarden las respuestas",
    ),
    (
        "Besides, purchases a second, whatever their answers take",
        "Además, compras por segundo, tarden lo que tarden las respuestas",
    ),
    (
        "Where the report goes, with its JSON beside it; into the directory of the run if left out",
        "Dónde queda el informe, con su JSON al lado; si falta, en el directorio de la corrida",
    ),
    (
        "An empty directory for the data, the logs and the history; a fresh one if left out",
        "Un directorio vacío para los datos, los registros y la historia; uno nuevo si falta",
    ),
    (
        "An empty directory for the data, the logs and the reports; a fresh one if left out",
        "Un directorio vacío para los datos, los registros y los informes; uno nuevo si falta",
    ),
    (
        "An empty directory for data and logs; a fresh one, which is removed after a good end, if left out",
        "Un directorio vacío para datos y registros; si falta, uno nuevo que se borra si todo sale bien",
    ),
    ("Of which service", "De cuál servicio"),
    ("From one process to so many", "De un proceso a tantos"),
    (
        "How many processes of it there are; two if left out, and in a cluster as many as there are",
        "Cuántos procesos suyos hay; dos si falta, y en un clúster los que haya",
    ),
    ("Seconds between two deaths", "Segundos entre dos muertes"),
    (
        "Where in a purchase; each of them in turn if left out",
        "En qué punto de una compra; si falta, en cada uno por turno",
    ),
    (
        "Customers at once, each of whom waits for an answer before the next request",
        "Clientes a la vez, cada uno de los cuales espera una respuesta antes de pedir otra cosa",
    ),
    (
        "What the services keep their data in: files, or PostgreSQL, which is started for it: a primary, a synchronous standby, and three replicas of each service",
        "Dónde guardan sus datos los servicios: archivos, o PostgreSQL, que se arranca para esto: un primario, un secundario síncrono y tres réplicas de cada servicio",
    ),
    (
        "What the services keep their data in: files, or PostgreSQL, which is started for it",
        "Dónde guardan sus datos los servicios: archivos, o PostgreSQL, que se arranca para esto",
    ),
    (
        "With --store postgres: transactions are SERIALIZABLE, as some engines' always are",
        "Con --store postgres: las transacciones son SERIALIZABLE, como lo son siempre en algunos motores",
    ),
    (
        "Each kind for a second or two, and one restart at the end",
        "Cada clase durante uno o dos segundos, y un reinicio al final",
    ),
    ("Only this kind; may be given several times", "Solo esta clase; se puede dar varias veces"),
    (
        "A cgroup in which this process may make others: each service gets one with its memory limit. If left out, the laboratory looks at the memory itself, and kills a process that takes too much",
        "Un cgroup en el que este proceso puede crear otros: cada servicio recibe uno con su límite de memoria. Si falta, el laboratorio mira él mismo la memoria, y mata al proceso que toma demasiada",
    ),
    ("Port of the page, on 127.0.0.1", "Puerto de la página, en 127.0.0.1"),
    (
        "The controls act on this namespace of the kubeconfig's cluster, as far as its RBAC allows; --url is its gateway",
        "Los controles actúan sobre este namespace del clúster del kubeconfig, hasta donde su RBAC lo permita; --url es su puerta de enlace",
    ),
    (
        "With --k8s: where the cluster's gateway can be reached",
        "Con --k8s: dónde se alcanza la puerta de enlace del clúster",
    ),
    (
        "With --k8s, where people log in: an API key of an account that is tesorero, publicador and auditor",
        "Con --k8s, donde hay cuentas: una clave de API de una cuenta que es tesorero, publicador y auditor",
    ),
    ("Opens no browser", "No abre el navegador"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    /// Names of values that are the same in both languages, or of the option itself.
    const SAME: &[&str] =
        &["N", "URL", "NAMESPACE", "DIR", "IDIOMA", "CUENTAS", "SERVICIO", "STORE", "A", "B"];

    fn texts(command: &Command, all: &mut BTreeSet<String>) {
        all.extend(command.get_about().map(ToString::to_string));
        all.extend(command.get_arguments().filter_map(|arg| arg.get_help()).map(ToString::to_string));
        let valued = command.get_arguments().filter(|arg| arg.get_action().takes_values());
        let names = valued.filter_map(|arg| arg.get_value_names()).flatten();
        all.extend(names.map(ToString::to_string).filter(|name| !SAME.contains(&name.as_str())));
        command.get_subcommands().for_each(|sub| texts(sub, all));
    }

    #[test]
    fn each_text_of_the_options_has_its_spanish() {
        let mut all = BTreeSet::new();
        texts(&Cli::command(), &mut all);
        let translated: BTreeSet<_> = TEXTS.iter().map(|(english, _)| (*english).to_owned()).collect();
        assert_eq!(translated, all);
    }

    #[test]
    fn each_kind_of_mistake_is_told_in_spanish() {
        for (typed, said) in [
            ("caos --clientes 0", "«--clientes <N>» no puede ser «0»: debe estar entre 1 y 10000."),
            ("caos --clientes", "falta el valor de «--clientes <N>»."),
            ("escala --semilla x", "«--semilla <N>» no puede ser «x»: debe ser un número entero, sin signo."),
            ("fallo --en nunca", "«--en <PUNTO>» no puede ser «nunca»; puede ser: tras-reserva, "),
            (
                "caos --cliente 3",
                "no existe la opción o el argumento «--cliente». ¿Quiso decir «--clientes»?",
            ),
            ("escala de más", "no existe la opción o el argumento «de»."),
            ("esclaa", "no existe la orden «esclaa». ¿Quiso decir «escala»?"),
            ("revisar", "falta lo obligatorio: <DIR>."),
            ("ataque", "falta lo obligatorio: --local."),
            ("caos --ingenuo --serializable", "«--ingenuo» no va junto con «--serializable»."),
            ("caos --kills 1 --kills 2", "«--kills <N>» va una sola vez."),
            ("caos --ingenuo=si", "a «--ingenuo» le sobra «si»."),
        ] {
            let typed = std::iter::once("laboratorio").chain(typed.split(' '));
            let e = whole(Cli::command()).try_get_matches_from(typed).unwrap_err();
            let told = complaint(&e).unwrap();
            assert!(told.starts_with(&format!("error: {said}")), "{told}");
            assert!(!told.contains("Usage") && !told.contains("OPTIONS"), "{told}");
        }
        let help = whole(Cli::command()).try_get_matches_from(["laboratorio", "--help"]).unwrap_err();
        assert!(complaint(&help).is_none());
    }

    #[test]
    fn nothing_of_the_help_is_left_in_english() {
        let mut command = whole(Cli::command());
        for order in std::iter::once(&mut command.clone()).chain(command.get_subcommands_mut()) {
            let help = order.render_long_help().to_string();
            for word in [
                "Usage",
                "Options:",
                "Commands",
                "Print",
                "possible",
                "Possible",
                "default",
                "[env",
                "[OPTIONS]",
            ] {
                assert!(!help.contains(word), "{word} in:\n{help}");
            }
        }
    }
}
