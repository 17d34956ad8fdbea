-- Rights on the pgraft interface: nothing is public, and a function needs no grant but its own.
revoke all on function
  public.pgraft_is_leader(),
  public.pgraft_get_leader(),
  public.pgraft_get_term(),
  public.pgraft_get_applied_index(),
  public.pgraft_log_get_entry(bigint),
  public.pgraft_log_sync_with_leader(),
  public.pgraft_kv_get(text, text),
  public.pgraft_kv_exists(text, text),
  public.pgraft_kv_get_entry(text, text),
  public.pgraft_kv_list_keys(text, text),
  public.pgraft_kv_list(text, text, integer, text),
  public.pgraft_kv_get_stats(),
  public.pgraft_replicate_entry(text, text),
  public.pgraft_log_append(bigint, text),
  public.pgraft_kv_put(text, text),
  public.pgraft_kv_delete(text),
  public.pgraft_kv_compact(),
  public.pgraft_kv_reset(),
  public.pgraft_kv_cas(text, bigint, text),
  public.pgraft_kv_put_local(text, text),
  public.pgraft_kv_delete_local(text),
  public.pgraft_record_applied_index(bigint)
  from public;
grant execute on function
  public.pgraft_is_leader(),
  public.pgraft_get_leader(),
  public.pgraft_get_term(),
  public.pgraft_get_applied_index(),
  public.pgraft_log_get_entry(bigint),
  public.pgraft_log_sync_with_leader(),
  public.pgraft_kv_get(text, text),
  public.pgraft_kv_exists(text, text),
  public.pgraft_kv_get_entry(text, text),
  public.pgraft_kv_list_keys(text, text),
  public.pgraft_kv_list(text, text, integer, text),
  public.pgraft_kv_get_stats()
  to pgreplica_monitor;
grant execute on function
  public.pgraft_replicate_entry(text, text),
  public.pgraft_log_append(bigint, text),
  public.pgraft_kv_put(text, text),
  public.pgraft_kv_delete(text),
  public.pgraft_kv_compact(),
  public.pgraft_kv_reset(),
  public.pgraft_kv_cas(text, bigint, text),
  public.pgraft_kv_put_local(text, text),
  public.pgraft_kv_delete_local(text),
  public.pgraft_record_applied_index(bigint)
  to pgreplica_admin;
