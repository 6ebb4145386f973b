"""Views that draw in the browser: anywidgets with their JavaScript, and what is built from them."""
