--! Previous: sha256:76a20cc295440b42591af36c08cbd11725182b50685884b2bfdf996b45b382cd
--! Hash: sha256:b5fd14d671b8065b255d46a51637b38704332036b57d0227ed1fac45fbe64409
--! Message: which standby could carry logical slots on after a failover to it

-- Of a standby: logical slots that are as good as the primary's now.  Null before its worker has looked.
alter table node.observed add column slots integer;
