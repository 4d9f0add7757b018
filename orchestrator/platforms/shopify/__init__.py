"""The client of Shopify."""
