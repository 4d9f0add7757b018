"""The commands, a module for each thing that they are about. Registered in app.py."""
