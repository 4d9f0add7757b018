-- Orders that their platform has no more, in the order of their import: few among all that rest. No step writes it.
CREATE INDEX orders_gone ON orders (seq) WHERE gone_at IS NOT NULL;
