-- A purchase without the number of its attempt passed claves_compra: `numero > abortado` is null then, and a check that is
-- null holds.
alter table transacciones.claves add constraint claves_numero check ((id is null) = (numero is null));
