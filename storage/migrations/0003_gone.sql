-- An order that the platform has no more keeps the state that it had last. That it is gone is apart from what stands in
-- the way of a step (problem), which ends with the targets; null while the platform has it.
ALTER TABLE orders ADD COLUMN gone_at BIGINT;

ALTER TABLE orders ADD COLUMN gone_detail TEXT;
