"""The release program: puts a release beside the running one, looks at it, switches and goes back."""
