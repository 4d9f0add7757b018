-- The newest version of the schema that a node's program knows: contract halves of migrations wait for older ones.
ALTER TABLE nodes ADD COLUMN schema_version BIGINT NOT NULL DEFAULT 0;
