"""Stand-ins for services of others, which speak their protocol over the network and know nothing of ours."""
