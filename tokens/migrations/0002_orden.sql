-- Names in the order of Spanish, which no collation of every engine gives: tokens::collation makes the key that sorts.
-- Rows that an older version wrote have no key and an older `plegado`. Their number says so, and each start of this version
-- makes both anew (tokens::store::postgres::renew).
alter table tokens.tokens add column orden bytea not null default '';
-- which rules made plegado and orden: tokens::collation::RULES
alter table tokens.tokens add column reglas bigint not null default 1;
create index tokens_por_orden on tokens.tokens (orden, id);
-- partial, since each index of all rows costs every purchase a write
create index tokens_sin_orden on tokens.tokens (id) where reglas < 2;
-- the version before sorts by it, and does so without it, too
drop index tokens.tokens_por_nombre;
