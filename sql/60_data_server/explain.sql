-- Why a member has its goal: the facts, and the rows of the rule tables that decided.
create or replace function pg_replica.explain(node text)
returns table (pos integer, fact text, value text, verdict text)
language sql volatile security definer set search_path = '', pg_temp as $$
  select r.* from jsonb_to_recordset(pgreplica.call('explain', jsonb_build_object('node', node)))
    as r (pos integer, fact text, value text, verdict text);
$$;
comment on function pg_replica.explain(text) is
  'Why a member (name or number) has its goal: what was looked at and, with their position, the rows of the rule tables that decided.';

create or replace function pg_replica.explain(node integer)
returns table (pos integer, fact text, value text, verdict text)
language sql volatile security definer set search_path = '', pg_temp as $$
  select e.pos, e.fact, e.value, e.verdict from pg_replica.explain(node::text) as e;
$$;
comment on function pg_replica.explain(integer) is
  'Why a member (its number) has its goal: what was looked at and, with their position, the rows of the rule tables that decided.';
