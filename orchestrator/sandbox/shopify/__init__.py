"""Shopify as the sandbox simulates it."""
