-- Who works on the store right now, where several may: a row for each daemon while it lives, and for a command that moves
-- the store elsewhere. Instants are the database's own.
CREATE TABLE nodes (
    name TEXT PRIMARY KEY,
    version TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    -- when it last said that it lives, and until when it counts as alive
    seen_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    -- 1: it hands its shops over, and takes none
    is_draining BIGINT NOT NULL DEFAULT 0,
    -- 1: it moves the store, and nobody else may work on it
    is_mover BIGINT NOT NULL DEFAULT 0,
    -- the shops of its config, as a JSON list
    shops TEXT NOT NULL,
    -- what it knows of the shops that it works for, as a JSON object by name
    facts TEXT NOT NULL
);
