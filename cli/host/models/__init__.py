"""What the commands about this machine say and do about models: keys, agent, proxy, budgets."""
