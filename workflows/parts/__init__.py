"""A large wish in parts: their order, what each is told, and what comes of them."""
