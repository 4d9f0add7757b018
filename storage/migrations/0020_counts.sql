-- Counts that are kept by whatever changes them, in the same transaction; nobody counts a million orders to show how many
-- there are. A row that came to 0 stays.
CREATE TABLE order_counts (
    shop TEXT NOT NULL,
    situation TEXT NOT NULL,
    state TEXT NOT NULL,
    -- '' for none
    milestone TEXT NOT NULL,
    orders BIGINT NOT NULL,
    PRIMARY KEY (shop, situation, state, milestone)
) {by_key};

CREATE TABLE target_counts (
    shop TEXT PRIMARY KEY,
    pending BIGINT NOT NULL
) {by_key};

-- An index on the situation or the state would be rewritten in two places with each step of each order. What is found by
-- them is found in three parts. Of orders that something is to be done to, a narrow copy in the order of their import:
-- a step rewrites it where it stands.
CREATE INDEX orders_busy ON orders (seq, shop, situation, state, milestone, updated_at) WHERE situation <> 'idle';

-- Those at rest by where they stand: all shops', and each shop's.
CREATE INDEX orders_rest ON orders (state, milestone, seq, shop, updated_at) WHERE situation = 'idle';

CREATE INDEX orders_rest_of_shop ON orders (shop, state, milestone, seq) WHERE situation = 'idle';

-- what changed last, and what retention may forget
CREATE INDEX orders_rested ON orders (updated_at) WHERE situation = 'idle';

DROP INDEX orders_counts;

DROP INDEX orders_attention;

CREATE INDEX orders_attention ON orders (attention_at, shop) WHERE attention_at IS NOT NULL;

-- each shop's oldest pending target
CREATE INDEX targets_oldest ON targets (shop, submitted_at) WHERE finished_at IS NULL;

INSERT INTO order_counts (shop, situation, state, milestone, orders)
    SELECT shop, 'idle', state, coalesce(milestone, ''), count(*) FROM orders WHERE situation = 'idle'
    GROUP BY shop, state, milestone;

INSERT INTO order_counts (shop, situation, state, milestone, orders)
    SELECT shop, situation, state, coalesce(milestone, ''), count(*) FROM orders WHERE situation <> 'idle'
    GROUP BY situation, shop, state, milestone;

INSERT INTO target_counts (shop, pending)
    SELECT shop, count(*) FROM targets WHERE finished_at IS NULL GROUP BY shop;
