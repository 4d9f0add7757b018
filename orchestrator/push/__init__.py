"""Events are pushed to the ERP: signed, in order per order, at least once (docs/delivery.md)."""
