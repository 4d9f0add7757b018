-- When a daemon first started on this store after it took another one's place. Of what was done to orders older than that
-- the store may know nothing. Null while it never did.
ALTER TABLE store_identity ADD COLUMN restored_at BIGINT;
