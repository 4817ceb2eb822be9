"""HTTP itself: the server, addresses, rates, headers, and how replies are described."""
