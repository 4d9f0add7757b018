-- Which store this is: whoever reads the feed has to notice when a copy took its place.

CREATE TABLE store_identity (
    "only" BIGINT PRIMARY KEY CHECK ("only" = 1),
    -- The feed's id. A copy that is started gets another one: from there on its cursors mean other events.
    feed TEXT NOT NULL,
    -- Where the daemon last worked on it; null before its first start, and where the machine has no id.
    host TEXT,
    place TEXT,
    -- When `backup` made this copy; null once a daemon has started on it, and in a store that is no copy.
    copied_at BIGINT,
    -- The newest cursor that retention has deleted: the feed has come so far even when it is empty.
    forgotten BIGINT NOT NULL DEFAULT 0
);

INSERT INTO store_identity ("only", feed) VALUES (1, {random});
