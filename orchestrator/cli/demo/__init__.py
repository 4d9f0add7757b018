"""The demo: sandbox and daemon as real processes, driven through the socket as an ERP would drive them."""
