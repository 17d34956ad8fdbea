-- A change of the members was refused as it was applied: say so in words.
create or replace function node.raise_refused(p_what text, p_outcome text) returns void
language plpgsql volatile set search_path = '', pg_temp as $$
declare
  v_why record;
begin
  select * into v_why from (values
    ('name_taken',         'RF010', 'another member has its name'),
    ('address_taken',      'RF010', 'another member is reached at its address'),
    ('too_many',           'RF010', 'a cluster has at most 16 members'),
    ('used_incarnation',   'RF008', 'it has left the cluster before: only a node made anew is let in'),
    ('another_kind',       'RF010', 'a witness does not take the place of a data member, nor the other way round'),
    ('last_voter',         'RF008', 'nobody would be left to vote'),
    ('is_primary',         'RF010', 'it is the primary: try again'),
    ('not_settled',        'RF010', 'a failover is under way: try again'),
    ('unknown_member',     'RF006', 'it is no member'),
    ('a_witness',          'RF010', 'a witness holds no data: it is never promoted, nor copied')
  ) as w (outcome, code, sentence) where w.outcome = p_outcome;
  raise exception using errcode = coalesce(v_why.code, 'RF010'),
    message = format('%s: %s', p_what, coalesce(v_why.sentence, p_outcome)),
    hint = 'See pg_replica.members() and pg_replica.events().';
end
$$;
