"""What done means, and how it is seen: plans and checks, without a model by the sentences that the script understands."""
