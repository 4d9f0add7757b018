-- A digest of the webhook that told a fulfilment's last version: the same bytes under other ids are no news. Null for
-- those that were told before this was kept.
ALTER TABLE fulfillments ADD COLUMN digest TEXT;
