--! Previous: sha256:8ef6884b2de99d0c388a219a00aa1e47fb4976c98e1fbd154ca50699ae0f8a2b
--! Hash: sha256:84679a234c11ea1cfc26cb221a75aceda200f8f98e25d65edeb970585525b775
--! Message: who hands something in says whether the worker is to be woken
drop function if exists node.take_in(text, text, text, text);
