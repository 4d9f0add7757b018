"""Shopify's order machine."""
