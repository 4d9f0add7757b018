-- What an ERP books by, and what it asks people to look at.

-- Since when the ERP asks for a person, and why; null while it does not.
ALTER TABLE orders ADD COLUMN attention_at BIGINT;

ALTER TABLE orders ADD COLUMN attention_reason TEXT;

-- How much of each line was reported as returned, a JSON object; null while nothing was.
ALTER TABLE orders ADD COLUMN returned TEXT;

-- For the list of what needs a person.
CREATE INDEX orders_attention ON orders (attention_at) WHERE attention_at IS NOT NULL;

-- Orders that were announced under an idempotency key: the same key announces nothing twice.
CREATE TABLE announcements (
    key TEXT PRIMARY KEY,
    shop TEXT NOT NULL,
    order_id TEXT NOT NULL,
    at BIGINT NOT NULL
);
