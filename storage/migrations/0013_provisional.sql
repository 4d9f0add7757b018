-- Whether webhooks alone tell of an order: no read has shown it yet. An empty content_hash said so before.
ALTER TABLE orders ADD COLUMN is_provisional INTEGER NOT NULL DEFAULT 0;

UPDATE orders SET is_provisional = 1 WHERE content_hash = '';
