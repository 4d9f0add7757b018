-- Orders of the time before a shop was followed are its history: they are not imported, but for those that are asked for.

-- When the daemon first worked for the shop. Of shops that are followed already, only that the last sweep is behind it
-- is known: what was over by then is kept, or was left out.
ALTER TABLE shops ADD COLUMN followed_since BIGINT;

UPDATE shops SET followed_since = last_sync_at;

-- The import_since of the last complete sweep; null without one. Another one may want orders that were left out.
ALTER TABLE shops ADD COLUMN swept_since BIGINT;

-- How many rows of skipped_orders are the shop's, so that nobody has to count them.
ALTER TABLE shops ADD COLUMN skipped BIGINT NOT NULL DEFAULT 0;

-- The orders that were left out, so that each is counted once however often it is listed.
CREATE TABLE skipped_orders (
    shop TEXT NOT NULL,
    id TEXT NOT NULL,
    PRIMARY KEY (shop, id)
);
