"""Kinds that leave a process too little of something."""
