"""Which addresses and ports may be contacted, and which URLs may be saved."""
