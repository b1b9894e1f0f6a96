"""The gateway's configuration under a real nginx, before the real services; k8s/check-gateway runs it.

world: addresses, processes, DNS and nginx; client: requests and load; test_*: what must hold.
"""
