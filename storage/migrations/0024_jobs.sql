-- What was asked for in bulk: a row for each job, until it has ended for longer than the retention.
CREATE TABLE jobs (
    seq {identity},
    id TEXT NOT NULL UNIQUE,
    action TEXT NOT NULL,
    -- the filter that selected the orders, as JSON
    wanted TEXT NOT NULL,
    reason TEXT,
    asked_by TEXT NOT NULL,
    status TEXT NOT NULL,
    -- how many were selected, and what became of them
    orders BIGINT NOT NULL,
    done BIGINT NOT NULL DEFAULT 0,
    refused BIGINT NOT NULL DEFAULT 0,
    -- why, each reason with how many orders and the words about one of them, as JSON
    refusals TEXT NOT NULL,
    started_at BIGINT NOT NULL,
    ended_at BIGINT
);

-- what retention may forget
CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;

-- The orders that a job has not come to yet, a few of one shop to a row. Whatever is done to orders and what is left
-- change in one transaction, so that nothing is done twice.
CREATE TABLE job_pieces (
    seq {identity},
    job TEXT NOT NULL,
    shop TEXT NOT NULL,
    -- their ids, as JSON
    orders TEXT NOT NULL
);

CREATE INDEX job_pieces_shop ON job_pieces (shop, seq);

CREATE INDEX job_pieces_job ON job_pieces (job);
