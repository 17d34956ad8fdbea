-- One sentence on each member's state, always.
create or replace view node.why as
select s.node_id, (
  select r.why from (values
    (110, s.observed_at is null, format('nothing was heard of node %s yet', s.node_id)),
    (120, not s.fresh,           format('nothing was heard of node %s for %s s', s.node_id, s.age_s)),
    (130, s.witness,             'a witness has no data server: it only votes'),
    (135, s.node_id = e.node_id and not s.writable and node.leader_heard() is null,
          'no quorum: a majority of the voters does not answer, so it must not serve'),
    (140, s.gone,                'its data server is gone'),
    (150, s.hung,                'its data server is there but answers nothing'),
    (210, s.role = 'primary' and s.epoch < e.epoch,
          format('still primary of epoch %s, which is over: it is to be fenced', s.epoch)),
    (220, s.role = 'primary' and e.handover_to is not null, format('hands over to node %s', e.handover_to)),
    (230, s.role = 'primary' and not s.writable and s.near < c.rule_k,
          format('no quorum: standbys attached: %s, needed for a commit: %s', s.near, c.rule_k)),
    (240, s.problem is not null, s.problem),
    (310, s.writable,            format('takes writes; standbys attached: %s, needed for a commit: %s', s.near, c.rule_k)),
    (320, s.role = 'primary',    format('primary of epoch %s, but it takes no writes yet', s.epoch)),
    (410, p.job is not null,     format('%s: %s, %s of %s bytes', p.job, p.phase, p.done_bytes, coalesce(p.total_bytes::text, 'unknown'))),
    (420, s.role = 'standby' and e.state = 'opened', format('waits for epoch %s to be decided', e.epoch)),
    (430, s.state = 'streaming', format('streams from node %s', e.node_id)),
    (440, s.state = 'catching_up', format('catches up with node %s, %s bytes behind', e.node_id, coalesce(s.lag_bytes::text, 'an unknown number of'))),
    (450, s.state = 'cloning',   format('copies the data of node %s', coalesce(e.node_id, e.old_primary))),
    (460, s.state = 'rewinding', format('goes back to where it left the history of node %s', coalesce(e.node_id, e.old_primary))),
    (510, s.state = 'running',   'runs, but does not stream yet'),
    (520, s.state = 'fenced',    'kept from clients'),
    (530, g.goal = 'none',       g.why),
    (900, true,                  format('its data server is %s', s.state))
  ) as r (pos, applies, why) where r.applies order by r.pos limit 1) as why
  from (select t.*, coalesce(cardinality(t.attached), 0) as near from node.seen as t) as s
 cross join cluster.state as c
 cross join cluster.newest_epoch() as e
  join cluster.goal as g on g.node_id = s.node_id
  left join node.progress as p on p.node_id = s.node_id;
