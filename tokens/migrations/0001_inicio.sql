-- What tokens keeps: docs/SCALE.md says which statements work on it, and why they are written so.
-- The schema itself is made before this runs.

-- That the tables were filled from the seed, once.
create table tokens.siembra (
    una boolean primary key check (una),
    fecha timestamptz not null default now()
);

create sequence tokens.tokens_id maxvalue 9007199254740991;

-- A token and its attempt are one row: so a token has one attempt at most, and whoever reserves, sells, changes or deletes
-- it meets the others in that row.
create table tokens.tokens (
    id bigint primary key default nextval('tokens.tokens_id')
        constraint tokens_id check (id between 1 and 9007199254740991),
    nombre text not null,
    -- nombre as it is searched and sorted: tokens::domain::plegar
    plegado text collate "C" not null,
    imagen text not null,
    precio bigint not null constraint tokens_precio check (precio between 0 and 9007199254740991),
    estado text not null default 'libre',
    -- the attempt that holds or bought it
    clave text collate "C",
    numero bigint,
    usuario_id bigint,
    -- since when
    desde timestamptz,
    constraint tokens_intento_entero check (
        (clave is null) = (numero is null) and (clave is null) = (usuario_id is null) and (clave is null) = (desde is null)
    ),
    constraint tokens_numero check (numero between 1 and 4294967295),
    constraint tokens_usuario check (usuario_id between 1 and 9007199254740991),
    constraint tokens_estado check (
        case estado
            when 'libre' then clave is null
            when 'reservado' then clave is not null
            -- without an attempt: outside of this market, before it was put into the seed
            when 'vendido' then true
            else false
        end
    )
);
-- an attempt has one token at most
create unique index tokens_intento on tokens.tokens (clave, numero) where clave is not null;
create index tokens_pendientes on tokens.tokens (desde, clave, numero) where estado = 'reservado';
create index tokens_vendidos on tokens.tokens (id) where estado = 'vendido';
create index tokens_por_precio on tokens.tokens (precio, id);
create index tokens_por_nombre on tokens.tokens (plegado, id);

-- What is counted, in 64 parts, each of the tokens whose id leaves that remainder, and written in the transaction that
-- changes them: so a total is exact and costs no count, and two writers seldom meet. All parts are one number of the state.
create table tokens.cuentas (
    parte bigint primary key check (parte between 0 and 63),
    -- each change that a list can show adds a random number: a database that was restored from a backup, or copied,
    -- never comes to a number again that another state of it had
    version numeric not null default 0,
    tokens bigint not null default 0,
    vendidos bigint not null default 0,
    -- the digest of the sales under an attempt (common::domain::Resumen)
    cuenta bigint not null default 0,
    suma numeric not null default 0,
    huella numeric not null default 0
);
insert into tokens.cuentas (parte) select * from generate_series(0, 63);
