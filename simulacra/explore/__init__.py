"""A trained generator in the browser: `server.py` speaks HTTP, `draw.py` draws, `static/` is the page."""
