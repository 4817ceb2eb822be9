"""Tasks as a chat shows them: started once, then one message each until the end."""
