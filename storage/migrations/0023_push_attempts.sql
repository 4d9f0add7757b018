-- The newest attempts to push an event to a receiver; as new ones come, old ones go (storage/attempts.py).
CREATE TABLE push_attempts (
    id {identity},
    -- of the receiver
    name TEXT NOT NULL,
    -- in_turn, again: sent once more by a person, test: an event that is not in the feed
    kind TEXT NOT NULL,
    -- null for a test
    cursor BIGINT,
    attempt BIGINT NOT NULL,
    at BIGINT NOT NULL,
    duration_ms BIGINT NOT NULL,
    -- the HTTP status, null without an answer
    status BIGINT,
    -- null: it arrived
    error TEXT
);

CREATE INDEX push_attempts_event ON push_attempts (cursor);
