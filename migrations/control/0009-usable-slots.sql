--! Previous: sha256:6ae99983d8912e988751b7f46ac444cd3de132e793f52c17fc1f2b04793f7e69
--! Hash: sha256:e5305ba17d7e2e09d437363ce5817784682a479e611d493a4fdf5bfc1080a26b
--! Message: which standby could carry logical slots on after a failover to it

-- Of a standby: logical slots that are as good as the primary's now.  Null before its worker has looked.
alter table node.observed add column slots integer;
