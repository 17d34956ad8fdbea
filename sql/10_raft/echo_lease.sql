-- Confirm the primary's nonce: after it arrived here a majority confirmed this node as leader (H31).
create or replace function raft.echo_lease(p_nonce bigint) returns void
language sql volatile set search_path = '' as $$
  select setval('raft.lease_echo', p_nonce);
$$;
