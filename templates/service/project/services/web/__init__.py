"""Pages over the data of the backend, for people. The backend serves them: one address, one process."""
