-- what retention may forget, without a look at all targets
CREATE INDEX targets_ended ON targets (finished_at) WHERE finished_at IS NOT NULL;
