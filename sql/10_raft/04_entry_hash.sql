-- Each entry's hash covers the one before it, so that a damaged or foreign log shows (H57).
create or replace function raft.entry_hash(
  p_previous bytea, p_index bigint, p_term bigint, p_kind text,
  p_client uuid, p_sequence bigint, p_body jsonb
) returns bytea
language plpgsql immutable set search_path = '' as $$
begin
  return sha256(p_previous || convert_to(
    concat_ws('|', p_index, p_term, p_kind, p_client, p_sequence, p_body), 'UTF8'));
end
$$;
