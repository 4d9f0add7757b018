-- One row for each order that cannot be read, which is read again by itself, in place of one for each of its payloads.

CREATE TABLE rejected_anew (
    id {identity},
    shop TEXT NOT NULL,
    -- what it is about: an order, or a payload that names none, told by its digest
    subject TEXT NOT NULL,
    source TEXT NOT NULL,
    order_id TEXT,
    -- the webhook that it is of, where that is worked off again in place of a read
    webhook BIGINT,
    -- when it was last seen
    at BIGINT NOT NULL,
    error TEXT NOT NULL,
    payload {bytes} NOT NULL,
    -- digests of the troubles that the feed has told of, with blanks between
    told TEXT NOT NULL,
    -- how often it was read again, and when it is next
    attempts BIGINT NOT NULL,
    next_at BIGINT NOT NULL,
    UNIQUE (shop, subject)
);

INSERT INTO rejected_anew (id, shop, subject, source, order_id, at, error, payload, told, attempts, next_at)
    SELECT id, shop, CASE WHEN order_id IS NULL THEN 'payload ' || digest ELSE 'order ' || order_id END,
        source, order_id, at, error, payload, '', 0, 0
    FROM rejected
    WHERE NOT EXISTS (
        SELECT 1 FROM rejected AS newer
        WHERE newer.shop = rejected.shop AND newer.order_id = rejected.order_id AND newer.id > rejected.id);

DROP TABLE rejected;

ALTER TABLE rejected_anew RENAME TO rejected;

-- Whole lists, most of them pages of maintenance, are no orders: nothing would ever read or forget them. (Deleted only
-- now, so that their ids are never another payload's.)
DELETE FROM rejected WHERE source = 'poll' AND order_id IS NULL AND error LIKE 'the list %';

-- to find what is to be read again
CREATE INDEX rejected_due ON rejected (shop, next_at);

-- to forget what a webhook could not tell, once it can
CREATE INDEX rejected_webhook ON rejected (webhook) WHERE webhook IS NOT NULL;
