-- Payload and content of an order in one compressed piece; `payload` is then empty and `content` null. Rows from before
-- stay as they are until they are saved again.
ALTER TABLE payloads ADD COLUMN packed {bytes};

-- What it was compressed with; null where that was nothing.
ALTER TABLE payloads ADD COLUMN dictionary BIGINT;

-- What the payloads of a shop have alike: names and marks of one of its orders, without any value.
CREATE TABLE dictionaries (
    id {identity},
    shop TEXT NOT NULL UNIQUE,
    words {bytes} NOT NULL
);
