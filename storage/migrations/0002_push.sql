-- What is pushed to us (webhooks and what they are about) and what we push to the ERP.

CREATE TABLE webhooks (
    id {identity},
    shop TEXT NOT NULL,
    -- signed: the body was signed; hint: only the address was secret
    source TEXT NOT NULL,
    -- as the headers told it; null when the body's shape has to tell
    topic TEXT,
    -- the sender's ids, or a digest of the body where it told none; a repeat has the same
    webhook_id TEXT,
    event_id TEXT,
    triggered_at BIGINT,
    received_at BIGINT NOT NULL,
    payload {bytes} NOT NULL,
    -- null while there is work to do
    processed_at BIGINT,
    attempts BIGINT NOT NULL DEFAULT 0,
    -- when it is looked at next, after a failed read
    due_at BIGINT NOT NULL
);

CREATE UNIQUE INDEX webhooks_repeat ON webhooks (shop, webhook_id) WHERE webhook_id IS NOT NULL;

CREATE UNIQUE INDEX webhooks_same_event ON webhooks (shop, event_id, topic)
    WHERE event_id IS NOT NULL AND topic IS NOT NULL;

-- the inbox worker's question
CREATE INDEX webhooks_open ON webhooks (shop, due_at) WHERE processed_at IS NULL;

CREATE TABLE products (
    seq {identity},
    shop TEXT NOT NULL,
    id TEXT NOT NULL,
    title TEXT,
    -- the platform's own change time: an older version never replaces a newer one
    updated_at BIGINT,
    seen_at BIGINT NOT NULL,
    payload {bytes} NOT NULL,
    UNIQUE (shop, id)
);

-- the change time of each fulfilment, to tell old news; what is in them the order's own read tells
CREATE TABLE fulfillments (
    shop TEXT NOT NULL,
    id TEXT NOT NULL,
    updated_at BIGINT,
    seen_at BIGINT NOT NULL,
    PRIMARY KEY (shop, id)
);

CREATE TABLE deliveries (
    name TEXT PRIMARY KEY,
    paused_at BIGINT,
    last_error TEXT,
    last_error_at BIGINT,
    delivered_at BIGINT
);

-- Events that a receiver refused while it took others, and those of the same order behind them. They are off the
-- consumer's cursor, so one order's trouble holds nobody up; the first of each lane is tried again.
CREATE TABLE parked (
    name TEXT NOT NULL,
    cursor BIGINT NOT NULL,
    lane TEXT NOT NULL,
    attempts BIGINT NOT NULL,
    due_at BIGINT NOT NULL,
    PRIMARY KEY (name, cursor)
);

CREATE INDEX parked_lane ON parked (name, lane, cursor);
