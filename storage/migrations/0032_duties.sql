-- What is to be done once among all nodes, where several may work on the store: a lease for each, as shops have.
CREATE TABLE duties (
    name TEXT PRIMARY KEY,
    lease_holder TEXT,
    lease_epoch BIGINT NOT NULL DEFAULT 0,
    lease_expires_at BIGINT
);

-- the duties that a node takes its share of, as a JSON list
ALTER TABLE nodes ADD COLUMN duties TEXT NOT NULL DEFAULT '[]';
