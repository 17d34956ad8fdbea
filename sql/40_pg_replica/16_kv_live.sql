-- Keys that are there, as far as this node has applied.
create or replace view node.kv_live as
select k.key, k.value, k.version, k.created_version, k.at as updated_at
  from cluster.kv as k
 where k.replaced_by is null and k.value is not null;
