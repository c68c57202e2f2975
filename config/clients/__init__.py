"""How to ask a neighbour: one typed client per service, over `service_client.ServiceClient`."""
