-- What a webhook's topic says it is about (order, product, other), in no platform's words: orders wait for their
-- platform, the others do not.
ALTER TABLE webhooks ADD COLUMN kind TEXT NOT NULL DEFAULT 'order';

-- When it was looked at first; null until then. What it says by itself is taken over at that look, and only then.
ALTER TABLE webhooks ADD COLUMN looked_at BIGINT;

-- Of those that older versions kept, which have a topic in these words alone.
UPDATE webhooks SET kind = CASE WHEN topic LIKE 'products/%' THEN 'product' ELSE 'other' END
    WHERE source <> 'hint' AND (topic IS NULL OR topic LIKE 'products/%');

UPDATE webhooks SET looked_at = received_at WHERE attempts > 0;
