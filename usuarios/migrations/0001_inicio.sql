-- What usuarios keeps: docs/SCALE.md says which statements work on it, and why they are written so.
-- The schema itself is made before this runs.

-- That the tables were filled from the seed, once.
create table usuarios.siembra (
    una boolean primary key check (una),
    fecha timestamptz not null default now()
);

create sequence usuarios.usuarios_id maxvalue 9007199254740991;

create table usuarios.usuarios (
    id bigint primary key default nextval('usuarios.usuarios_id')
        constraint usuarios_id check (id between 1 and 9007199254740991),
    nombre text not null,
    saldo bigint not null constraint usuarios_saldo check (saldo between 0 and 9007199254740991),
    -- the sum of this user's posted ledger lines: see movimientos.asentado
    asentado bigint not null default 0
);
-- users whose balance is not the sum of what is posted: those with lines that are not, or something is wrong
create index usuarios_abiertos on usuarios.usuarios (id) where saldo <> asentado;

-- Lines of all users have one counter, and a line is numbered while its user's row is locked: so the lines of a user are
-- numbered in the order in which they commit.
create sequence usuarios.movimientos_id maxvalue 9007199254740991;

create table usuarios.movimientos (
    usuario_id bigint not null references usuarios.usuarios (id),
    id bigint not null,
    tipo text not null,
    -- credits added to the balance, or taken where it is negative
    efecto bigint not null
        constraint movimientos_efecto check (efecto between -9007199254740991 and 9007199254740991),
    fecha timestamptz not null,
    -- the key of an abono; of a cargo that of its attempt, whose number is beside it
    clave text collate "C",
    numero bigint,
    confirmado boolean not null default true,
    -- counted in usuarios.asentado, and where it is a cargo in cierre
    asentado boolean not null default false,
    primary key (usuario_id, id),
    constraint movimientos_forma check (
        case tipo
            when 'apertura' then efecto >= 0 and clave is null and numero is null and confirmado
            when 'ajusteAlza' then efecto >= 0 and clave is null and numero is null and confirmado
            when 'ajusteBaja' then efecto <= 0 and clave is null and numero is null and confirmado
            when 'abono' then efecto >= 0 and clave is not null and numero is null and confirmado
            when 'cargo' then efecto <= 0 and clave is not null and numero between 1 and 4294967295
            else false
        end
    ),
    constraint movimientos_asentado check (confirmado or not asentado)
);
-- an attempt is debited once, and an abono made once, whoever asks how often
create unique index movimientos_cargo on usuarios.movimientos (clave, numero) where tipo = 'cargo';
create unique index movimientos_abono on usuarios.movimientos (clave) where tipo = 'abono';
create index movimientos_pendientes on usuarios.movimientos (fecha, clave, numero) where not confirmado;
create index movimientos_por_asentar on usuarios.movimientos (usuario_id, id) where confirmado and not asentado;

-- The digest of the posted cargos (common::domain::Resumen): one row, written by whoever posts and by no request.
create table usuarios.cierre (
    una boolean primary key check (una),
    cuenta bigint not null,
    suma numeric(39) not null,
    huella numeric(39) not null
);
insert into usuarios.cierre (una, cuenta, suma, huella) values (true, 0, 0, 0);
