"""Records as the outside sees them: plain JSON with the API's names and times.

What is derived when it is read is derived here.
"""
