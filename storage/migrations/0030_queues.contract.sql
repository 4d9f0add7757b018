-- least: 1
-- An order has few targets, so its queue is found among all of them. An index of the pending ones alone was a page more to
-- write for each target that came and each that ended; no query of any version depends on it.
DROP INDEX targets_pending;
