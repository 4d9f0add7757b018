-- Times are Unix milliseconds (UTC), JSON is text, ids are the platform's own as text.

CREATE TABLE shops (
    name TEXT PRIMARY KEY,
    platform TEXT NOT NULL,
    -- a pause is a row, so it survives a restart: by whom and why
    paused_at BIGINT,
    paused_by TEXT,
    paused_reason TEXT,
    -- a shop-wide wait that ends by itself (Retry-After, open circuit)
    gate_reason TEXT,
    gate_until BIGINT,
    gate_detail TEXT,
    circuit TEXT NOT NULL DEFAULT 'closed',
    -- a digest of the credentials, to notice that they were changed; never the secret
    credentials TEXT,
    sync_position TEXT,
    last_sync_at BIGINT,
    last_sync_error TEXT,
    -- fencing: a write of this shop carries the epoch and is refused when it is stale
    lease_holder TEXT,
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    lease_expires_at BIGINT
);

CREATE TABLE orders (
    seq {identity},
    shop TEXT NOT NULL,
    platform TEXT NOT NULL,
    id TEXT NOT NULL,
    reference TEXT,
    state TEXT NOT NULL,
    -- what the platform showed last; differs from state where a state is ours alone
    platform_state TEXT NOT NULL,
    milestone TEXT,
    payment TEXT NOT NULL,
    situation TEXT NOT NULL,
    facts TEXT NOT NULL,
    content_hash TEXT NOT NULL,
    platform_updated_at BIGINT,
    observed_at BIGINT NOT NULL,
    -- when our last call on the order ended: a list that was asked for before then is stale
    moved_at BIGINT NOT NULL,
    -- when a driver should look at it next; null at rest
    due_at BIGINT,
    -- the step whose call may be out; written before the call, removed with its outcome
    intent TEXT,
    attempts BIGINT NOT NULL DEFAULT 0,
    read_attempts BIGINT NOT NULL DEFAULT 0,
    crashes BIGINT NOT NULL DEFAULT 0,
    next_attempt_at BIGINT,
    wait TEXT,
    problem TEXT,
    held_at BIGINT,
    held_reason TEXT,
    imported_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    UNIQUE (shop, id)
);

-- the dispatcher's question: what is due in this shop?
CREATE INDEX orders_due ON orders (shop, due_at) WHERE due_at IS NOT NULL;

-- recovery's question: which calls were out when the daemon died?
CREATE INDEX orders_intent ON orders (shop) WHERE intent IS NOT NULL;

-- the status dump counts from this index alone
CREATE INDEX orders_counts ON orders (shop, situation, state);

-- what waits for a person, for the status dump
CREATE INDEX orders_blocked ON orders (updated_at) WHERE situation = 'blocked';

CREATE INDEX orders_reference ON orders (reference);

-- payloads are large and change seldom: apart, so that a step rewrites a small row
CREATE TABLE payloads (
    shop TEXT NOT NULL,
    id TEXT NOT NULL,
    received_at BIGINT NOT NULL,
    payload {bytes} NOT NULL,
    PRIMARY KEY (shop, id)
);

CREATE TABLE targets (
    seq {identity},
    id TEXT NOT NULL UNIQUE,
    shop TEXT NOT NULL,
    order_id TEXT NOT NULL,
    state TEXT NOT NULL,
    milestone TEXT,
    status TEXT NOT NULL,
    request TEXT NOT NULL,
    plan TEXT NOT NULL,
    steps_done BIGINT NOT NULL DEFAULT 0,
    unused TEXT NOT NULL,
    idempotency_key TEXT,
    request_hash TEXT,
    submitted_at BIGINT NOT NULL,
    finished_at BIGINT,
    problem TEXT
);

CREATE INDEX targets_order ON targets (shop, order_id, seq);

-- the queues
CREATE INDEX targets_pending ON targets (shop, order_id, seq) WHERE finished_at IS NULL;

CREATE UNIQUE INDEX targets_key ON targets (idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE TABLE events (
    cursor {identity},
    at BIGINT NOT NULL,
    type TEXT NOT NULL,
    shop TEXT,
    order_id TEXT,
    target TEXT,
    data TEXT NOT NULL
);

CREATE INDEX events_order ON events (shop, order_id, cursor);

CREATE TABLE consumers (
    name TEXT PRIMARY KEY,
    cursor BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);

CREATE TABLE rejected (
    id {identity},
    shop TEXT NOT NULL,
    source TEXT NOT NULL,
    order_id TEXT,
    at BIGINT NOT NULL,
    error TEXT NOT NULL,
    -- the same broken payload is kept once, however often it is seen
    digest TEXT NOT NULL,
    payload {bytes} NOT NULL,
    UNIQUE (shop, digest)
);
