"""Sound itself: reading, measuring, limiting, mixing and writing audio in blocks.

Nothing here knows of HTTP, of the database or of settings. Importing the package is free; its modules bring in numpy and numba,
so only the worker process imports them.
"""
