-- What a node asks of the one that works for a shop: only that one calls the platform. A row goes when its asker has the
-- answer; one whose asker died, after an hour.
CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    shop TEXT NOT NULL,
    kind TEXT NOT NULL,
    -- the order that is meant; NULL: the shop
    order_id TEXT,
    -- whether somebody waits for the answer: otherwise the row goes when it is carried out
    is_awaited BIGINT NOT NULL,
    asked_at BIGINT NOT NULL,
    -- the epoch of the lease under which it was begun; another holder begins anew
    epoch BIGINT,
    -- JSON; NULL until it is carried out
    answer TEXT
);
