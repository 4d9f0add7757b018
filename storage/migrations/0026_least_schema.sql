-- The schema version that a program has to know to work on this store; contract halves of migrations raise it.
ALTER TABLE store_identity ADD COLUMN least_schema BIGINT NOT NULL DEFAULT 0;
