"""What the workflow `agent-worker` is made of: its inbox, its branch, its record for people, its steps."""
