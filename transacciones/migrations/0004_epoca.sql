-- The era that the store is in, once anything was aborted (docs/PURCHASE.md, "Refused keys end"): one row, or none.
create table transacciones.epoca (
    una boolean primary key check (una),
    numero bigint not null check (numero between 0 and 4294967295),
    desde timestamptz not null
);

-- What is aborted and not bought, for whoever looks for what is to be forgotten.
create index claves_abortado on transacciones.claves (abortado) where id is null;
