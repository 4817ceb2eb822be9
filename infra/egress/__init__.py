"""How an agent's container reaches the internet: through one socket, and only where its project's setting allows."""
