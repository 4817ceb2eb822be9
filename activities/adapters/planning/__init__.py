"""What done means, and how it is seen: plans and checks by what the script understands of a sentence."""
