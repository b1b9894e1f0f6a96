-- Who may log in, and the keys that sign their sessions. A record is one text, the same that stands in the files
-- (usuarios/src/domain/account.rs); beside it are the columns by which it is found and by which two of them would collide.
create table usuarios.cuentas (
    id bigint primary key constraint cuentas_id check (id between 1 and 9007199254740991),
    nombre text collate "C" not null constraint cuentas_nombre unique,
    -- of an account that is not revoked
    usuario_id bigint constraint cuentas_usuario unique
        constraint cuentas_de_usuario references usuarios.usuarios (id),
    datos text not null
);

create table usuarios.firmas (
    -- in the order in which they were made: of two processes that make one at once, the second finds its number taken
    n bigint primary key,
    kid text collate "C" not null constraint firmas_kid unique,
    datos text not null
);
