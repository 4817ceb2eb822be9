"""What the engineering workflow is made of, beside its life."""
