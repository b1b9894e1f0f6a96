-- What transacciones keeps: docs/SCALE.md says which statements work on it, and why they are written so.
-- The schema itself is made before this runs.

-- That the tables were filled from the seed, once.
create table transacciones.siembra (
    una boolean primary key check (una),
    fecha timestamptz not null default now()
);

create sequence transacciones.ids maxvalue 9007199254740991;

-- One row for each clave: what was decided under it. That a commit and an abort are two writes of one row is what makes
-- them exclude each other, at every isolation level.
create table transacciones.claves (
    -- a purchase that was put into the seed by hand has none: '#' and its id stand for it, which is no clave
    clave text collate "C" primary key,
    -- attempts up to this one never commit
    abortado bigint not null default 0 check (abortado between 0 and 4294967295),
    usuario_id bigint not null check (usuario_id between 1 and 9007199254740991),
    -- not known where recovery aborted by a debit
    token_id bigint check (token_id between 1 and 9007199254740991),
    -- the purchase, where it is bought; its attempt is 0 where it has no clave
    id bigint unique check (id between 1 and 9007199254740991),
    numero bigint check (numero between 0 and 4294967295),
    precio bigint check (precio between 0 and 9007199254740991),
    fecha timestamptz,
    -- its place in the order of commits, given soon after by whoever posts
    asiento bigint,
    constraint claves_compra check (
        (id is null and numero is null and precio is null and fecha is null and asiento is null)
        or (id is not null and numero > abortado and precio is not null and fecha is not null and token_id is not null)
        or (id is not null and numero = 0 and abortado = 0 and precio is not null and fecha is not null
            and token_id is not null and clave = '#' || id::text)
    )
);
create unique index claves_asiento on transacciones.claves (asiento) where asiento is not null;
create index claves_usuario on transacciones.claves (usuario_id, asiento) where asiento is not null;
create index claves_token on transacciones.claves (token_id, asiento) where asiento is not null;
create index claves_por_asentar on transacciones.claves (id) where id is not null and asiento is null;

-- The last place that was given, and the digests of what has one (common::domain::Resumen): one row, written by whoever
-- posts and by no request.
create table transacciones.cierre (
    una boolean primary key check (una),
    asientos bigint not null,
    cuenta bigint not null,
    suma numeric(39) not null,
    cargos numeric(39) not null,
    ventas numeric(39) not null
);
insert into transacciones.cierre (una, asientos, cuenta, suma, cargos, ventas) values (true, 0, 0, 0, 0, 0);
