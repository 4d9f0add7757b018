-- What a job had go on, a few orders of one shop to a row: which of them stand still again is counted from it. Kept as
-- long as the job is.
CREATE TABLE job_orders (
    seq {identity},
    job TEXT NOT NULL,
    shop TEXT NOT NULL,
    -- their ids, as JSON
    orders TEXT NOT NULL
);

CREATE INDEX job_orders_job ON job_orders (job);
