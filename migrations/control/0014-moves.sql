--! Previous: sha256:6455636b419592bd8fcc528d8c7db9d8ece89f0a71c9b40e711771427837db41
--! Hash: sha256:31e7b03cc2b306dc21e4375a3a1cc98caa3f0bf2e454e0f732c8ebfca0da56a8
--! Message: a member that has moved says where it is, to whoever hears it

-- By its own word, and not the log's yet: tried where a member does not answer at its place.  Unlogged: it says so
-- again until the log knows.
create unlogged table node.heard_place (
  node_id integer primary key,
  host    text    not null constraint "a host has a short name" check (octet_length(host) <= 255),
  port    integer not null
);
