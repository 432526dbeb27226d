"""The process that holds the namespaces of local hosts."""
