-- Browsers that are logged in, where several nodes have to know of them: a load balancer sends a page's calls to any.
CREATE TABLE sessions (
    -- SHA-256 of the secret in the cookie, which is kept nowhere
    digest TEXT PRIMARY KEY,
    -- what the page adds to calls that change anything
    csrf TEXT NOT NULL,
    ends_at BIGINT NOT NULL
);
