-- Which member streams: its name, its login and its slot must all be that member's.  A commit waits for whoever uses a
-- listed name (H07), so a name alone says nothing; a second connection under it does not hold the slot.
create or replace function pgreplica.streaming_member(p_name text, p_role name, p_slot name) returns integer
language sql immutable set search_path = '', pg_temp as $$
  select m.node[1]::integer
    from regexp_match(p_name, '^pgr_(?:joiner_)?([1-9][0-9]{0,8})_[0-9a-f]{12}$') as m (node)
   where p_role = 'pgreplica_node_' || m.node[1] and p_slot = 'pgreplica_' || m.node[1];
$$;
comment on function pgreplica.streaming_member(text, name, name) is
  'The member that streams under this name, login and slot; null unless all three are its own.';
