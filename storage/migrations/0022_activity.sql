-- What was done in each minute and each hour, by shop; the row of shop '' is the daemon as a whole and is there for every
-- minute in which one ran. Rows of minutes and of hours are kept for different times (storage/activity.py).
CREATE TABLE activity (
    -- 60000 for a minute, 3600000 for an hour
    span_ms BIGINT NOT NULL,
    shop TEXT NOT NULL,
    -- the beginning of the minute or hour
    at BIGINT NOT NULL,
    steps_done BIGINT NOT NULL,
    steps_failed BIGINT NOT NULL,
    orders_imported BIGINT NOT NULL,
    calls BIGINT NOT NULL,
    -- the highest age that was measured
    oldest_pending_ms BIGINT NOT NULL,
    PRIMARY KEY (span_ms, shop, at)
) {by_key};

-- what retention may forget
CREATE INDEX activity_age ON activity (span_ms, at);
