--! Previous: sha256:84679a234c11ea1cfc26cb221a75aceda200f8f98e25d65edeb970585525b775
--! Hash: sha256:3fce630355ffe1624fc3f40f60a494760c644ed8be403428626629ce6a266e1b
--! Message: an older copy of the data volume is seen by what the control store remembers of it

-- The number that this node's data directory holds, changed at each start and every minute, while it is being changed
-- the one before it too; '' is no number.  A directory that holds another is an older copy of it (H56).
create table node.data_life (
  singleton boolean primary key default true check (singleton),
  known     text[]  not null default '{}'            -- empty: any directory will do
);
insert into node.data_life default values;
