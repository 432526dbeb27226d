"""This node compared with etcd and PySyncObj: the same clients, values and durability, in turn."""
