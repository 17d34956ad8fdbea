-- What the committed state asks of each member.  `pos` names the row, as in the worker's tables.
create or replace view cluster.goal as
select m.node_id, g.pos, g.goal, g.why
  from cluster.member as m
  left join lateral (select * from cluster.epoch order by epoch desc limit 1) as e on true
  cross join lateral (
    select * from (values
      (110, m.data_port is null,                                'none',      'a witness has no data server'),
      (120, e.epoch is null,                                    'none',      'no primary was ever appointed'),
      (210, e.state = 'opened',                                 'pledged',   'epoch ' || e.epoch || ' is being decided'),
      (310, e.node_id = m.node_id and e.handover_to is not null, 'hand_over', 'the primary role moves to node ' || e.handover_to),
      (320, e.node_id = m.node_id,                              'primary',   'appointed in epoch ' || e.epoch),
      (330, true,                                               'standby',   'node ' || e.node_id || ' is primary of epoch ' || e.epoch)
    ) as rule (pos, applies, goal, why)
    where rule.applies order by rule.pos limit 1
  ) as g;
