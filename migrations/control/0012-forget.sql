--! Previous: sha256:92842c87b18a448b2354627781ad6495d4f832ee41cc04cc0bc077d090175fe6
--! Hash: sha256:f43c967149398b7917fb9776433415ac1d4023b54a62a9e3a37ef2d54fdbb8ac
--! Message: history that stays bounded: what the cluster keeps of entries, proposals, events and requests

-- What an operator has set for the whole cluster; what is not here has its default.
create table cluster.setting (
  name  text primary key,
  value text not null
);

-- Forgotten up to here: entries of users, by their place in the log, and proposals, by theirs (H60).
alter table cluster.state
  add column entries_through   bigint not null default 0,
  add column proposals_through bigint not null default 0;
create index proposals_by_place on cluster.proposal (log_index);

-- Counted from the first that was ever put in, this item included: what is kept is a difference.
alter table cluster.entry
  add column number      bigint not null default 0,
  add column total_bytes bigint not null default 0;
update cluster.entry as e
   set number = c.number, total_bytes = c.total_bytes
  from (select n.index, n.item, row_number() over w as number, sum(octet_length(n.data)) over w as total_bytes
          from cluster.entry as n window w as (order by n.index, n.item)) as c
 where c.index = e.index and c.item = e.item;

-- How far this node had applied the log when it noted the act: nothing before that can have been this act.
alter table node.act add column since bigint not null default 0;
