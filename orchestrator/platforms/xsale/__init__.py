"""The client of xSale."""
