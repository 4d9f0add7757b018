-- Since when a shop with a row is not in the config any more; null while it is. Its orders wait until it is back.
ALTER TABLE shops ADD COLUMN left_at BIGINT;
