-- What the ERP was given of an order when it was last looked at (JSON), and when that look began: what differs at the next
-- look is news, unless a step of ours ended in between. Beside the payload, for no step reads it. Null for orders from
-- before this column, until the platform shows them again.
ALTER TABLE payloads ADD COLUMN content TEXT;

ALTER TABLE payloads ADD COLUMN read_at BIGINT;
