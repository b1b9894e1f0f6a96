//! The arrays and journals of the three services, read by their own models.

use super::files::{self, DIR, path};
use ::journal::simulation::Disk;
use journal::{Model, OpenError, Options};
use std::collections::BTreeMap;
use std::path::PathBuf;

const NAMES: &[&str] = &[
    "usuarios.json",
    "movimientos.json",
    "usuarios.journal",
    "usuarios.lock",
    "tokens.json",
    "contadores.json",
    "tokens.journal",
    "tokens.lock",
    "transacciones.json",
    "intentos.json",
    "transacciones.journal",
    "transacciones.lock",
    "epocas.json",
];

/// Files as in [`super::journal_reader`]. Each service opens with them, takes a write, stops and starts again with all
/// of its records; or it refuses and says why.
pub fn records(data: &[u8]) {
    let given = files::parse(data, NAMES);
    let of = |names: &[&str]| -> Option<BTreeMap<PathBuf, Vec<u8>>> {
        let files: BTreeMap<_, _> =
            names.iter().filter_map(|name| Some((path(name), given.get(&path(name))?.clone()))).collect();
        (!files.is_empty()).then_some(files)
    };
    if let Some(files) = of(&NAMES[..4]) {
        service::<usuarios::store::state::State>(files, |state| {
            state.next_usuario_id();
            state.next_movimiento_id();
            for id in state.usuarios.keys() {
                state.movimientos_of(*id, 0).count();
            }
            state.pending(None).count();
            serde_json::to_string(&state.digest()).unwrap();
        });
    }
    if let Some(files) = of(&NAMES[4..8]) {
        service::<tokens::store::state::State>(files, |state| {
            state.next_id();
            state.prepare();
            state.pending(None).count();
            serde_json::to_string(&state.digest()).unwrap();
        });
    }
    if let Some(files) = of(&NAMES[8..]) {
        service::<transacciones::store::state::State>(files, |state| {
            state.list(None, None, None).count();
        });
    }
}

fn service<M: Model>(files: BTreeMap<PathBuf, Vec<u8>>, look: impl Fn(&M)) {
    let journal = files.keys().any(|path| path.extension().is_some_and(|e| e == "journal"));
    let disk = Disk::with(files);
    let (state, _) = match disk.start::<M>(Options::new(DIR)) {
        Ok(started) => started,
        Err(OpenError::Data { file, reason, .. }) => {
            assert!(file.starts_with(DIR) && !reason.is_empty());
            return;
        }
        Err(other) => panic!("{other}"),
    };
    look(&state);
    // a line with a checksum is what a service wrote: it is not asked whether it would write that
    if journal {
        return;
    }
    // a clean stop writes the arrays anew: they are read as the same records
    let journal =
        disk.open_with_threads::<M>(Options::new(DIR)).unwrap_or_else(|e| panic!("the second start: {e}"));
    journal.close().unwrap_or_else(|e| panic!("{e}"));
    let arrays = |disk: &Disk| -> Vec<Option<Vec<u8>>> {
        let files = disk.files();
        M::COLLECTIONS.iter().map(|c| files.get(&path(&format!("{c}.json"))).cloned()).collect()
    };
    let written = arrays(&disk);
    let (again, _) = disk.start::<M>(Options::new(DIR)).unwrap_or_else(|e| panic!("after a clean stop: {e}"));
    for collection in M::COLLECTIONS {
        assert_eq!(again.count(collection), state.count(collection), "{collection}");
    }
    let copy = Disk::with(
        M::COLLECTIONS
            .iter()
            .zip(&written)
            .filter_map(|(c, b)| Some((path(&format!("{c}.json")), b.clone()?)))
            .collect(),
    );
    copy.start::<M>(Options::new(DIR)).unwrap_or_else(|e| panic!("its arrays alone: {e}"));
    look(&again);
}
