-- The parcels that were told of an order, as JSON; null for none. They are kept with the order where a platform sends
-- whole orders, and no read shows them.
ALTER TABLE orders ADD COLUMN parcels TEXT;
