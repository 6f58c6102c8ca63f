"""The explorer: an atlas searched in the browser, over the functions that the command line uses."""

from insignia.serve.options import ServeOptions
from insignia.serve.run import address, create_app, export_page, new_token, serve

__all__ = ["ServeOptions", "address", "create_app", "export_page", "new_token", "serve"]
