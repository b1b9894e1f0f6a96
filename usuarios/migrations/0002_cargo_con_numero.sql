-- A cargo without the number of its attempt passed movimientos_forma: `null between …` is null, and a check that is null
-- holds. movimientos_cargo would then not see that two such lines are one attempt's.
alter table usuarios.movimientos add constraint movimientos_numero check (tipo <> 'cargo' or numero is not null);
