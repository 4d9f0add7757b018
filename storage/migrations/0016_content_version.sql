-- In which form content is kept. Null: that of before this column, in which null may also mean that the platform does not
-- give a member; since then such members are left out.
ALTER TABLE payloads ADD COLUMN content_version BIGINT;

-- Where the payment stands, in a finer word than `payment`. Null for orders from before this column, until the platform
-- shows them again: their content says it.
ALTER TABLE orders ADD COLUMN payment_status TEXT;
