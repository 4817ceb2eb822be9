"""Deploy targets: Ansible runs the release program here or on a server."""
