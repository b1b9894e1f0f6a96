-- The host name of the process that committed a purchase, for who watches; not known of older purchases.
alter table transacciones.claves add column pod text;
