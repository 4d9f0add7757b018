-- How much time has really passed, so that a clock that is wrong deletes nothing (docs/storage.md, passage). One row.
CREATE TABLE passage (
    id BIGINT PRIMARY KEY,
    -- what the clock showed when this was written
    wall_at BIGINT NOT NULL,
    -- which start of the machine that was, and how long after it: null where the system does not tell
    boot TEXT,
    uptime_ms BIGINT NOT NULL,
    -- how far the clock has jumped ahead of the time that passed
    ahead_ms BIGINT NOT NULL,
    -- time that passed under our eyes since the first row, and how much of it at the last jump
    seen_ms BIGINT NOT NULL,
    jumped_ms BIGINT NOT NULL
);
