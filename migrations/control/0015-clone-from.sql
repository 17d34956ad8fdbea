--! Previous: sha256:31e7b03cc2b306dc21e4375a3a1cc98caa3f0bf2e454e0f732c8ebfca0da56a8
--! Hash: sha256:8ef6884b2de99d0c388a219a00aa1e47fb4976c98e1fbd154ca50699ae0f8a2b
--! Message: standbys that others copy their data from, so that the primary is spared

-- A wish, and no more: who copies asks each such member itself, and falls back on the primary.
alter table cluster.member add column clone_from boolean not null default false;
