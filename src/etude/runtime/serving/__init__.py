"""The server: an API and a page over one or more bundles. FastAPI and uvicorn are imported in this folder only."""
