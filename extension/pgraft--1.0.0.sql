-- Nothing is made here: the functions are pg_replica's, which made them and brings them up to date.
do $$
begin
  if to_regprocedure('public.pgraft_get_version()') is null then
    raise exception using errcode = 'object_not_in_prerequisite_state',
      message = 'this database has no functions of the pgraft interface',
      hint = 'They are in the database postgres of every node''s servers: is pg-replica run running here?';
  end if;
end
$$;
