"""xSale as the sandbox simulates it."""
