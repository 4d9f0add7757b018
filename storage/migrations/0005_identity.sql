-- Which shop of its platform this one is, in words: the orders kept under its name are of that one. Null in stores from
-- before this column, until the next start.
ALTER TABLE shops ADD COLUMN identity TEXT;
