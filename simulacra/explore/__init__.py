"""A trained model in the browser: `server.py` speaks HTTP, `rendering.py` draws, `static/` is the page."""
