"""The release program: starts a release beside the running one, checks it, switches to it and goes back."""
