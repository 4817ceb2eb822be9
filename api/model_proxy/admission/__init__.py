"""What a request needs before it is sent, so that no agent takes the memory or the places of others."""
