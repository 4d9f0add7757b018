-- The last change of each shop's holder, where several daemons share the shops. Whose the shop is says its lease.
CREATE TABLE takeovers (
    shop TEXT PRIMARY KEY,
    -- who took it, under which epoch, and when
    holder TEXT NOT NULL,
    epoch BIGINT NOT NULL,
    taken_at BIGINT NOT NULL,
    -- why it could: handed_over, lease_ended or free
    why TEXT NOT NULL,
    -- who had it before, and since when nobody worked for it; NULL: not known
    holder_before TEXT,
    idle_since BIGINT,
    -- when the holder released it; NULL: it has not
    released_at BIGINT
);
-- Daemons that shared the shops and are gone, for an hour.
CREATE TABLE gone_nodes (
    name TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    seen_at BIGINT NOT NULL,
    gone_at BIGINT NOT NULL,
    -- 1: its heartbeats ended; 0: it left in order
    is_lost BIGINT NOT NULL,
    -- those that it worked for, as a JSON list
    shops TEXT NOT NULL
);
